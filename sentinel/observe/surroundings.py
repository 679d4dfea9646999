"""The second look at a process: where it stands, and whom it works for. It costs 40 us.

Nothing is asked of the process, no connection is made, and what it reads from is not read
from. Elsewhere than on Linux the answer is ``Unknown``, which spares.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from sentinel.core.facts import Surroundings, Unknown
from sentinel.observe import cgroups
from sentinel.observe.connections import Connections
from sentinel.observe.descriptors import descriptors
from sentinel.observe.procfs import ensure_no_environment

_KEEP = (b"SENTINEL_KEEP=", b"SENTINEL_PROTECT=")
_NOT_KEPT = frozenset({b"", b"0"})
_SYSTEMD = "/run/systemd/system"  # what sd_booted(3) asks for
_PIECE = 1 << 16
_LOOKS = 3
"""At whom one serves that opens or closes sockets meanwhile."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What a process holds, whoever holds the other ends."""

    cgroup: str
    program: str
    keep: bool
    descriptors: Mapping[str, str]
    """Where each leads, as /proc shows it."""
    sockets: frozenset[int]


class Neighbourhood:
    """What the processes of one dead session hold, and who is at the other ends: one look at them all.

    To be closed after use.
    """

    def __init__(self) -> None:
        self._connections = Connections()
        self._held: dict[int, _Held | Unknown] = {}

    def close(self) -> None:
        """Let go of what it takes to look."""
        self._connections.close()

    def around(self, pid: int, inside: Collection[int], own_input: str) -> Surroundings | Unknown:
        """Look around ``pid``.

        Args:
            pid: A process of our own user.
            inside: The processes that are about to end together, itself among them.
            own_input: What ``input_of`` said of the root of their session.
        """
        question = f"whom process {pid} works for"
        if sys.platform != "linux":
            return Unknown(question, "this system does not tell")
        held = self._holdings(pid)
        if isinstance(held, Unknown):
            return held
        try:
            return self._look(pid, held, inside, own_input)
        except OSError as error:
            return Unknown(question, str(error))

    def _look(self, pid: int, held: _Held, inside: Collection[int], own_input: str) -> Surroundings | Unknown:
        fed = held.descriptors.get("0", "")
        feeder = self._feeder(pid, fed, inside) if fed != own_input else ""
        if not held.sockets:
            return Surroundings(held.cgroup, held.program, held.keep, feeder=feeder)
        ours = self._sockets(inside)
        held, clients = self._served(pid, held, ours)
        if self._connections.unaccounted(held.sockets) and not _in_our_network(pid):
            return Unknown(f"whom process {pid} works for", "it lives in another network namespace")
        on_screen = self._connections.on_screen(held.sockets, ours)
        ports = tuple(sorted(self._connections.ports(held.sockets)))
        return Surroundings(held.cgroup, held.program, held.keep, clients, on_screen, feeder, ports)

    def _served(self, pid: int, held: _Held, ours: Collection[int]) -> tuple[_Held, tuple[str, ...]]:
        """Whom a process serves, and what it held meanwhile.

        A call that is taken between the look at its sockets and the question for those that wait is neither:
        nobody was there only if the sockets are the same afterwards.

        Raises:
            OSError: It has ended, or takes and ends calls faster than they can be looked at.
        """
        for _ in range(_LOOKS):
            clients = tuple(self._connections.clients(held.sockets, ours))
            if clients:
                return held, clients
            before, held = held, _hold(pid)
            if held.sockets == before.sockets:
                return held, ()
            self._held[pid] = held
            self._connections.forget()
        if self._connections.listens(held.sockets):
            raise BlockingIOError(errno.EAGAIN, "it takes and ends calls faster than they can be looked at")
        return held, tuple(self._connections.clients(held.sockets, ours))

    def _holdings(self, pid: int) -> _Held | Unknown:
        if pid not in self._held:
            try:
                self._held[pid] = _hold(pid)
            except OSError as error:
                self._held[pid] = Unknown(f"whom process {pid} works for", str(error))
        return self._held[pid]

    def _sockets(self, inside: Collection[int]) -> set[int]:
        """All that these processes hold; one that cannot be looked at holds what nobody knows of."""
        found: set[int] = set()
        for pid in inside:
            if isinstance(held := self._holdings(pid), _Held):
                found |= held.sockets
        return found

    def _feeder(self, pid: int, fed: str, inside: Collection[int]) -> str:
        """Who outside holds the other end of descriptor 0, which leads to ``fed``."""
        if fed.startswith("socket:["):
            return self._connections.fed_by(_number(fed), self._sockets(inside))
        pipe = fed.startswith("pipe:[")
        if pipe and not _has_writer(pid):
            return ""
        if not pipe and not _is_fifo(pid, fed):
            return ""
        if any(self._writes(one, fed) for one in inside):
            return ""
        # Who else has a named pipe open for writing, the kernel does not tell.
        return "whoever writes into the pipe at its input" if pipe else f"whoever may write into {fed}"

    def _writes(self, pid: int, pipe: str) -> bool:
        held = self._holdings(pid)
        if isinstance(held, Unknown):
            return False
        return any(_writable(pid, fd) for fd, leads_to in held.descriptors.items() if leads_to == pipe)


def cgroup_of(pid: int) -> str:
    """Where a process stands in the hierarchy in which systemd keeps its units.

    Empty where there is no systemd, and so no unit, or where nobody can tell.
    """
    if not _has_systemd():
        return ""
    try:
        return cgroups.told_by(_read(f"/proc/{pid}/cgroup"))
    except OSError:
        return ""


def input_of(pid: int) -> str:
    """Where its descriptor 0 leads, as /proc shows it; empty when that cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/fd/0")
    except OSError:
        return ""


def _hold(pid: int) -> _Held:
    """Read what a process holds.

    Raises:
        OSError: It has ended, or its own user may not look into it.
    """
    try:
        return _hold_by(f"/proc/{pid}")
    except OSError:
        # The first thread of a process may end before the others, and /proc shows no more through it.
        for thread in os.listdir(f"/proc/{pid}/task"):
            if thread != str(pid):
                return _hold_by(f"/proc/{pid}/task/{thread}")
        raise


def _hold_by(directory: str) -> _Held:
    environment = _read(f"{directory}/environ")
    if not environment:
        ensure_no_environment(directory)
    program = os.readlink(f"{directory}/exe").removesuffix(" (deleted)")
    cgroup = cgroups.told_by(_read(f"{directory}/cgroup")) if _has_systemd() else ""
    opened = descriptors(directory)
    sockets = frozenset(_number(where) for where in opened.values() if where.startswith("socket:["))
    return _Held(cgroup, program, _is_kept(environment), opened, sockets)


def _read(path: str) -> bytes:
    """All of it by one read: behind the first piece of an environment nothing follows once its program was replaced."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        enough = _PIECE
        while len(content := os.pread(fd, enough, 0)) == enough:
            enough *= 8
        return content
    finally:
        os.close(fd)


def _is_kept(environment: bytes) -> bool:
    if b"SENTINEL_" not in environment:
        return False
    return any(
        entry.startswith(_KEEP) and entry.partition(b"=")[2] not in _NOT_KEPT for entry in environment.split(b"\0")
    )


@cache
def _has_systemd() -> bool:
    return os.path.isdir(_SYSTEMD)


def _number(link: str) -> int:
    """The inode in ``socket:[N]``."""
    return int(link[link.index("[") + 1 : -1])


def _has_writer(pid: int) -> bool:
    """Whether anybody holds the writing end of the pipe at a process's input.

    The reading end is opened once more for a moment; nothing is read.
    """
    fd = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(fd, 0)
        return not any(events & select.POLLHUP for _, events in poll.poll(0))
    finally:
        os.close(fd)


def _is_fifo(pid: int, where: str) -> bool:
    if not where or where.startswith("/dev/"):
        return False
    return stat.S_ISFIFO(os.stat(f"/proc/{pid}/fd/0").st_mode)


def _writable(pid: int, fd: str) -> bool:
    """Whether a descriptor is open for writing: /proc shows that in the mode of its link."""
    try:
        return bool(os.lstat(f"/proc/{pid}/fd/{fd}").st_mode & stat.S_IWUSR)
    except OSError:
        return False


def _in_our_network(pid: int) -> bool:
    return os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
