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
from collections.abc import Callable, Iterator

from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.observe import processes

HAS_PIDFD = hasattr(os, "pidfd_open")
# include/uapi/linux/pidfd.h, Linux 6.15: _IOWR(0xFF, 11, struct pidfd_info) with the first
# published size of 64 bytes; the exit status is its last member.
_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_INFO_EXIT = 1 << 3
_INFO = struct.Struct("=QQ11Ii")


def raise_descriptor_limit() -> int:
    """Take all the descriptors that the user may have: one is held per watched process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 65536)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted


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
    """Open handles by identity."""

    def __init__(self) -> None:
        self._fds: dict[ProcessId, int] = {}
        self.exhausted = False
        """Descriptors ran out once: some processes are held by number and start time only."""
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
        fd = self._open(pid)
        if isinstance(fd, Gone):
            return fd
        who = processes.identify(pid)
        if fd is None or not isinstance(who, ProcessId):
            if fd is not None:
                os.close(fd)
            return who
        if readable(fd):
            os.close(fd)
            return Gone()
        if (before := self._fds.setdefault(who, fd)) != fd:
            os.close(fd)
            fd = before
        return who

    def _open(self, pid: int) -> int | Gone | None:
        if not HAS_PIDFD:
            return None
        try:
            return os.pidfd_open(pid)
        except ProcessLookupError:
            return Gone()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and not self.exhausted:
                self.exhausted = True
                self.on_exhausted()
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
        held = who in self._fds
        holder = who if held else self.take(who.pid)
        if isinstance(holder, Unknown):
            return holder
        if isinstance(holder, Gone) or holder != who:
            if isinstance(holder, ProcessId):
                self.drop(holder)
            return Gone()
        if (fd := self._fds.get(who)) is None:
            return Unknown(f"whether process {who.pid} is the one that was judged", "no handle could be opened on it")
        try:
            mine = os.dup(fd)
        except OSError as error:
            return Unknown(f"whether process {who.pid} is the one that was judged", str(error))
        finally:
            if not held:
                self.drop(who)
        if readable(mine):
            os.close(mine)
            return Gone()
        return mine

    def ended(self, who: ProcessId) -> bool | Unknown:
        """Whether that very process has ended. Never true because something was not found."""
        if (fd := self._fds.get(who)) is not None:
            return readable(fd)
        now = processes.above(who.pid)
        if isinstance(now, Unknown):
            return now
        return isinstance(now, Gone) or now.id != who or now.dead

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
