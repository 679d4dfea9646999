"""Handles on processes, taken while they are known good and kept until they end.

A pidfd is an identity that cannot be reused: it is what we wait on, what we ask how the
process died, and what the reaper signals through. It costs 4 us and 400 bytes. Without
pidfds (macOS) the identity is looked up again each time, and that is said where it matters.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import struct
import sys
from collections.abc import Callable, Iterator

from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.observe import processes

HAS_PIDFD = hasattr(os, "pidfd_open")
# include/uapi/linux/pidfd.h, Linux 6.15: _IOWR(0xFF, 11, struct pidfd_info) with the first
# published size of 64 bytes; the exit status is its last member.
_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_INFO_EXIT = 1 << 3
_INFO = struct.Struct("=QQ11Ii")
_FOR_THE_REST = 32
"""Descriptors that are never spent on handles: files that are read, sockets, the journal."""


def raise_descriptor_limit() -> int:
    """Take all the descriptors that the user may have: one is held per watched process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 65536)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted


def _affordable() -> int:
    """How many handles can be kept so that each of them can be borrowed at the same time, and files be read."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(0, (65536 if soft == resource.RLIM_INFINITY else soft) - _FOR_THE_REST) // 2


def readable(fd: int) -> bool:
    """Whether the process behind a pidfd has ended (it is readable from then on)."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def exit_status(fd: int) -> int | None:
    """Wait status of the ended process behind a pidfd, also when it was no child of ours.

    None before it was reaped, and on kernels before 6.15, which do not tell.
    """
    buffer = bytearray(_INFO.size)
    _INFO.pack_into(buffer, 0, _PIDFD_INFO_EXIT, *([0] * 13))
    try:
        fcntl.ioctl(fd, _PIDFD_GET_INFO, buffer)
    except OSError:
        return None
    mask, *_, status = _INFO.unpack(buffer)
    return int(status) if mask & _PIDFD_INFO_EXIT else None


class Handles:
    """Open handles by identity.

    Args:
        most: How many are kept. Whoever is beyond them is held by number and start time only,
            and by a handle for the moment in which it is signalled.
    """

    def __init__(self, most: int | None = None) -> None:
        self._fds: dict[ProcessId, int] = {}
        self._most = _affordable() if most is None else most
        self.exhausted = False
        """More were wanted once."""
        self.on_exhausted: Callable[[], object] = _nobody_asked
        """Called when they do, once."""

    def __len__(self) -> int:
        return len(self._fds)

    def __iter__(self) -> Iterator[ProcessId]:
        return iter(self._fds)

    def take(self, pid: int) -> ProcessId | Gone | Unknown:
        """Open a handle on whoever has ``pid`` now, and tell who that is.

        The start time is read after the handle was opened, and the handle shows that the
        process still lived then: so both are of one process.
        """
        found = self._verified(pid)
        if not isinstance(found, tuple):
            return found
        who, fd = found
        if fd is None or who in self._fds or not self._is_room():
            if fd is not None:
                os.close(fd)
        else:
            self._fds[who] = fd
        return who

    def _is_room(self) -> bool:
        if len(self._fds) < self._most:
            return True
        self._exhaust()
        return False

    def _exhaust(self) -> None:
        if not self.exhausted:
            self.exhausted = True
            self.on_exhausted()

    def _verified(self, pid: int) -> tuple[ProcessId, int | None] | Gone | Unknown:
        """Who has ``pid`` now, and a fresh handle that is on that very process; None where there is none to be had."""
        fd = self._open(pid)
        if isinstance(fd, Gone):
            return fd
        who = processes.identify(pid)
        if fd is None:
            return (who, None) if isinstance(who, ProcessId) else who
        if isinstance(who, ProcessId) and not readable(fd):
            return who, fd
        os.close(fd)
        return Gone() if isinstance(who, ProcessId) else who

    def _open(self, pid: int) -> int | Gone | None:
        if sys.platform != "linux" or not HAS_PIDFD:
            return None
        try:
            return os.pidfd_open(pid)
        except ProcessLookupError:
            return Gone()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._exhaust()
            return None

    def fd(self, who: ProcessId) -> int | None:
        """The pidfd of a process that was taken."""
        return self._fds.get(who)

    def borrow(self, who: ProcessId) -> int | Gone | Unknown | None:
        """A pidfd of the caller's own on that very process, to be closed by the caller.

        None where there are no pidfds. ``Gone`` when the process has ended, also when its
        pid is another's by now.
        """
        if not HAS_PIDFD:
            ended = self.ended(who)
            return ended if isinstance(ended, Unknown) else Gone() if ended else None
        if (held := self._fds.get(who)) is None:
            return self._borrow_afresh(who)
        try:
            mine = os.dup(held)
        except OSError as error:
            return Unknown(f"whether process {who.pid} is the one that was judged", str(error))
        if readable(mine):
            os.close(mine)
            return Gone()
        return mine

    def _borrow_afresh(self, who: ProcessId) -> int | Gone | Unknown:
        found = self._verified(who.pid)
        if not isinstance(found, tuple):
            return found
        holder, fd = found
        if fd is None:
            if holder != who:
                return Gone()
            return Unknown(f"whether process {who.pid} is the one that was judged", "no handle could be opened on it")
        if holder != who:
            os.close(fd)
            return Gone()
        return fd

    def ended(self, who: ProcessId) -> bool | Unknown:
        """Whether that very process has ended. Never true because something was not found."""
        if (fd := self._fds.get(who)) is not None:
            return readable(fd)
        return processes.ended(who)

    def status(self, who: ProcessId) -> int | None:
        """How it ended, as a wait status; None when the kernel does not tell."""
        fd = self._fds.get(who)
        return None if fd is None else exit_status(fd)

    def drop(self, who: ProcessId) -> None:
        """Close the handle of a process that is of no interest any more."""
        if (fd := self._fds.pop(who, None)) is not None:
            os.close(fd)

    def close(self) -> None:
        """Close all handles."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()


def _nobody_asked() -> None:
    """Nobody wants to hear of it."""
