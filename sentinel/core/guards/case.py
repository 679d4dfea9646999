"""What a guard is asked about: one process, what was recorded of it, and what a fresh look says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sentinel.core.facts import Above, Death, Gone, ProcessFacts, ProcessId, Stdio, Surroundings, Unknown
from sentinel.core.guards.programs import DETACHED_DAEMONS
from sentinel.core.ledger import Member
from sentinel.core.policy import KindPolicy
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Spared

TMUX_SERVER = "tmux: server"
"""What a tmux server calls itself; set by tmux with PR_SET_NAME, so no argv can forge it by accident."""

NOBODY = -1
"""No process is in this group. (0 is what one outside of this pid namespace looks like.)"""


@dataclass(frozen=True, slots=True)
class Ourselves:
    """The process that decides, and those it hangs on."""

    pid: int
    group: int
    uid: int
    ancestors: frozenset[int]


@dataclass(frozen=True, slots=True)
class World:
    """What is true around every case."""

    ourselves: Ourselves
    roots: Mapping[ProcessId, Session]
    """Roots of sessions that are not known to be dead."""
    manager_servers: Mapping[ProcessId, str]
    """tmux servers that an Overmind started for itself, with the key of its session."""
    protected: tuple[str, ...] = ()
    """Patterns (fnmatch) of the names of sessions that nothing is taken from."""
    protected_programs: tuple[str, ...] = ()
    """Patterns of the kernel's names of processes that are never ended."""


@dataclass(frozen=True, slots=True)
class Case:
    """One process before the judge: what was recorded, and what a fresh look says."""

    id: ProcessId
    member: Member | None
    session: Session | None
    """The session that owns it, by the ledger."""
    death: Death | Unknown | None
    """The end of that session's root; None while it lives."""
    facts: ProcessFacts | Gone | Unknown
    stdio: Stdio | Unknown | None
    """None when it was not asked for, see ``wants_stdio``."""
    chain: tuple[Above, ...] | Unknown
    """Its parent, that one's parent and so on, as they are now, without pid 1."""
    policy: KindPolicy
    world: World
    names: tuple[str, ...] = ()
    """What its session is called, and those around that one."""
    shelter: Spared | None = None
    """The nearest process above it that the same dead session left and that is spared."""
    born: float | None = None
    """When it was born, in monotonic seconds; None when nobody had to know."""
    surroundings: Surroundings | Unknown | None = None
    """What the second, dearer look shows; None when nobody took it."""
    tracees: tuple[int, ...] = ()
    """Living processes that it traces, as far as they were looked at."""
    jobs: tuple[int, ...] = ()
    """Stopped processes on which the kernel hangs up when it ends, as far as they were looked at."""
    needed_by: Spared | None = None
    """The nearest process below it that the same dead session left and that serves somebody."""


Speaks = Callable[[Case], str | None]


@dataclass(frozen=True, slots=True)
class Guard:
    """A reason to spare. ``id`` is what journal, ``explain`` and docs/rules.md call it."""

    id: str
    title: str
    speaks: Speaks
    dear: bool = False
    """It asks for what only the second look shows, see ``Surroundings``."""


def wants_stdio(member: Member | None, facts: ProcessFacts) -> bool:
    """Whether a guard will ask where descriptors 0-2 lead. Reading them costs 10 us."""
    if member is not None and (member.nohup or member.left is not None):
        return True
    return facts.hangup_ignored or facts.name in DETACHED_DAEMONS
