"""The versions of tmux that people have, where somebody has fetched them: ``scripts/tmuxes DIR``.

The installed one is always among them. The others lie in ``.venv/tmuxes``.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

VERSIONS = ("3.1c", "3.3a", "3.5a", "3.8")
"""Debian 11, Debian 12, Ubuntu 25.04 and Debian 13, and what is coming."""
_ROOM = Path(__file__).parents[2] / ".venv" / "tmuxes"


@functools.cache
def programs():
    """Programs by version."""
    found = [*filter(None, [shutil.which("tmux")]), *map(str, sorted(_ROOM.glob("tmux-*/bin/tmux")))]
    return {_version(program): program for program in reversed(found)}


def program(version):
    """The program of a version; a skip that names it where there is none."""
    if version not in programs():
        pytest.skip(f"missing: another tmux ({version}; scripts/tmuxes fetches it)")
    return programs()[version]


def _version(program):
    return subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stdout.split()[-1]


class Server:
    """A real tmux server with a socket of its own."""

    def __init__(self, program, path, *words):
        self.program, self.path = program, str(path)
        self("-f", "/dev/null", "new-session", "-d", "-s", "first", *(words or ["sleep 1000"]))
        self.pid = int(self("display-message", "-p", "#{pid}").stdout)
        self.handle = os.pidfd_open(self.pid)

    def __call__(self, *arguments, check=True):
        environ = {name: value for name, value in os.environ.items() if name not in {"TMUX", "TMUX_PANE"}}
        command = [self.program, "-S", self.path, *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=check, timeout=20)

    def mark(self):
        from sentinel.core.sessions import SocketMark

        status = os.lstat(self.path)
        return SocketMark(self.path, status.st_dev, status.st_ino)

    def send(self, number):
        signal.pidfd_send_signal(self.handle, number)

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGCONT)
            self.send(signal.SIGKILL)
        os.close(self.handle)
