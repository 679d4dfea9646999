"""A control group for the command of a ``sentinel run``, where the user may make one.

Nothing is ever moved: the command is born in its group (clone3 with CLONE_INTO_CGROUP, Linux
5.7; 1 ms, where moving takes 10 to 20). So the group holds the command and what it bears,
and nobody else.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from sentinel.core.facts import ProcessId
from sentinel.core.scopes import name_for
from sentinel.observe import cgroups

_CLONE3 = 435  # the same number on all of Linux' architectures but alpha
_CLONE_INTO_CGROUP = 0x200000000
_ARGUMENTS = struct.Struct("=11Q")
"""struct clone_args of linux/sched.h: flags first, the exit signal fifth, the group's descriptor last."""


class OwnGroup:
    """A group that we have made. ``path`` is what cgroups(7) calls its path."""

    def __init__(self, path: str, directory: str) -> None:
        self.path = path
        self._directory = directory

    def spawn(self, argv: tuple[str, ...], environ: dict[str, str], defaults: Sequence[int]) -> int | None:
        """Start a command in the group, as ``os.posix_spawnp`` does. Returns its pid.

        None when the kernel does not let us: then nothing was started.

        Raises:
            OSError: The command cannot be run.
        """
        told, tell = os.pipe()
        group = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            child = _clone_into(group)
            if child == 0:
                _become(argv, environ, defaults, tell)
        finally:
            os.close(group)
            os.close(tell)
        with os.fdopen(told, "rb") as answer:
            if child is None:
                return None
            if failed := answer.read():
                os.waitpid(child, 0)
                number = int.from_bytes(failed, "little")
                raise OSError(number, os.strerror(number))
        return child

    def remove(self) -> None:
        """Take it away. While somebody lives in it, it stays, and the agent takes it away in the end."""
        with suppress(OSError):
            os.rmdir(self._directory)


def make(wrapper: ProcessId) -> OwnGroup | None:
    """A group below our own; None where that is not ours to divide (no systemd user session, no cgroup 2)."""
    here = cgroups.unified(wrapper.pid) if sys.platform == "linux" else ""
    directory = cgroups.directory_of(here)
    # Whoever may not write here cannot start anything in a group below either (cgroups(7), delegation).
    if not here.strip("/") or directory is None or not os.access(f"{directory}/cgroup.procs", os.W_OK):
        return None
    name = name_for(wrapper)
    try:
        os.mkdir(f"{directory}/{name}")
    except OSError:
        return None
    return OwnGroup(f"{here}/{name}", f"{directory}/{name}")


def _clone_into(group: int) -> int | None:
    """Fork into a group: 0 in the child, its pid in the parent; None when the kernel refuses."""
    arguments = _ARGUMENTS.pack(_CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, group)
    # PyDLL keeps the interpreter's lock: the child goes on in it.
    child = ctypes.PyDLL(None).syscall(_CLONE3, arguments, len(arguments))
    return child if child >= 0 else None


def _become(argv: tuple[str, ...], environ: dict[str, str], defaults: Sequence[int], tell: int) -> NoReturn:
    """Replace this program; what prevents that is told to the parent, who waits for it or for nothing."""
    number = errno.EINVAL
    try:
        for one in defaults:
            signal.signal(one, signal.SIG_DFL)
        os.execvpe(argv[0], argv, environ)  # noqa: S606 - the command is the user's own, word by word
    except OSError as error:
        number = error.errno or number
    finally:
        os.write(tell, number.to_bytes(4, "little"))
        os._exit(127)
