"""What was seen. Facts carry no opinion, and ``Unknown`` is one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

SIGHUP_BIT = 1 << 0  # signal masks in /proc number signals from 1, bits from 0
_NAME_BYTES = 15
"""Bytes that the kernel keeps of a name (TASK_COMM_LEN without its end)."""


def kernel_name(name: str) -> str:
    """As much of a name as the kernel keeps: what a program of this name is called (comm)."""
    return name.encode("utf-8", "surrogateescape")[:_NAME_BYTES].decode("utf-8", "surrogateescape")


class ProcessId(NamedTuple):
    """A process of this boot that cannot be mistaken for another.

    ``start`` is the kernel's start time: clock ticks since boot on Linux (field 22 of
    ``/proc/PID/stat``), microseconds since the epoch on macOS. Records that outlive the
    boot carry the boot id beside it.
    """

    pid: int
    start: int

    def __str__(self) -> str:
        return f"{self.pid}@{self.start}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A question that got no answer. Never read it as "no" or "nothing there"."""

    question: str
    why: str

    def __str__(self) -> str:
        return f"could not find out {self.question}: {self.why}"


@dataclass(frozen=True, slots=True)
class Gone:
    """Proof that a process no longer exists (ESRCH, a readable pidfd, state Z or X)."""


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process, as one look saw it."""

    id: ProcessId
    parent: int
    group: int
    session: int
    terminal: int
    """Device number of the controlling terminal, 0 for none."""
    state: str
    """The kernel's letter: R S D I running or asleep, T t stopped or traced, Z X dead."""
    name: str
    """What the kernel calls it (comm); hostile bytes and all."""
    uid: int
    tracer: int = 0
    hangup_ignored: bool = False
    hangup_caught: bool = False
    hangup_pending: bool = False
    """It was sent a SIGHUP, does not hold it off, and has not taken it yet: on a busy machine that may take a while."""
    foreign_namespace: bool = False
    """It lives in a pid namespace that is not ours, where numbers mean other things."""
    kernel_thread: bool = False
    memory: int = field(default=0, compare=False)
    """Bytes that it has in memory, shared ones included; 0 when that is not known."""

    @property
    def dead(self) -> bool:
        """A zombie is dead: its pid can be signalled for ever and nothing will happen."""
        return self.state in "ZX"


class Above(NamedTuple):
    """A process as a link in a chain of parents."""

    id: ProcessId
    parent: int
    name: str
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Stdio:
    """Where descriptors 0, 1 and 2 of a process lead."""

    terminal: bool
    """One of them is a terminal, also a hung-up one."""
    pipe: bool
    """One of them is a pipe or a socket that somebody else may hold the other end of."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a second, dearer look shows: where a process stands, and whom it works for.

    *Outside* is whoever lives and is not about to be ended together with it.
    """

    cgroup: str = ""
    """Its path in the hierarchy in which systemd keeps its units; empty where there is none."""
    program: str = ""
    """Path of its executable."""
    keep: bool = False
    """Its environment says ``SENTINEL_KEEP=1`` or ``SENTINEL_PROTECT=1``."""
    clients: tuple[str, ...] = ()
    """Who is connected to it, or waits to be, from outside: a noun phrase each."""
    on_screen: bool = False
    """It is connected to the display: an X server or a Wayland compositor."""
    feeder: str = ""
    """Who outside holds the other end of its input, as a noun phrase; empty for nobody."""
    ports: tuple[int, ...] = ()
    """TCP ports on which it listens."""


class Departure(NamedTuple):
    """How a process came to lose the parent that bore it, while its session still lived."""

    at: float
    """Monotonic seconds."""
    clean: bool | None
    """The parent ended by itself, with whatever status. None: nobody told us how it ended."""
    forked_only: bool | None = None
    """The parent never ran a program of its own: it was the middle one of a double fork.
    None: nobody told us."""


class Cause(StrEnum):
    """What ended a process."""

    EXITED = "exited"
    SIGNALLED = "killed by"
    UNTOLD = "ended"


_AFTER_A_SIGNAL = frozenset((129, 137, 143))
"""How shells say that they, or what they ran, died of SIGHUP, SIGKILL or SIGTERM."""


@dataclass(frozen=True, slots=True)
class Death:
    """The end of a process, as far as the kernel tells it."""

    at: float
    """Monotonic seconds: when the kernel says it died, else when we noticed."""
    status: int | None = None
    """Wait status (see wait(2)); None when the kernel did not tell."""

    @property
    def cause(self) -> Cause:
        """Exit, signal, or not told."""
        if self.status is None:
            return Cause.UNTOLD
        return Cause.SIGNALLED if self.status & 0x7F else Cause.EXITED

    @property
    def signal(self) -> int | None:
        """The signal that killed it, if one did."""
        return self.status & 0x7F if self.cause is Cause.SIGNALLED and self.status else None

    @property
    def code(self) -> int | None:
        """The exit code, if it exited."""
        return self.status >> 8 & 0xFF if self.cause is Cause.EXITED and self.status is not None else None

    @property
    def by_itself(self) -> bool | None:
        """Whether it ended by itself, with whatever status; None when nobody told."""
        if self.status is None:
            return None
        return self.code is not None and self.code not in _AFTER_A_SIGNAL


@dataclass(frozen=True, slots=True)
class SocketFacts:
    """A path that may be a unix socket, as one look saw it (never through a connection)."""

    path: str
    device: int
    inode: int
    is_socket: bool
    uid: int
    modified: float
    """Wall-clock seconds since the epoch."""
    bound: bool | Unknown
    """A living socket is bound to this very inode, listening or not."""


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """A directory that a dead session may have left, as one look saw it."""

    path: str
    device: int
    inode: int
    uid: int
    mode: int
    modified: float
    """Wall-clock seconds since the epoch."""
