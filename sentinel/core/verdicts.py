"""What was decided, and why: every verdict carries sentences that a person can read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.core.facts import ProcessFacts, ProcessId


class Grade(StrEnum):
    """How good the proof of ownership is. The agent acts by itself on ``PROVEN`` only."""

    PROVEN = "proven"
    STRONG = "strong"
    WEAK = "weak"


@dataclass(frozen=True, slots=True)
class Condemned:
    """A process that a dead session owned, with nothing speaking for it."""

    id: ProcessId
    facts: ProcessFacts
    evidence: tuple[str, ...]
    grade: Grade = Grade.PROVEN
    no_kill: str = ""
    """Why it gets SIGTERM at most; empty for what may be killed after the grace."""
    ports: tuple[int, ...] = ()
    """TCP ports that are free when it is gone, unless somebody else listens on them too."""


@dataclass(frozen=True, slots=True)
class Spared:
    """A process that stays, whatever else is true of it."""

    id: ProcessId
    guard: str
    """The id of the guard that spoke, see docs/rules.md."""
    reason: str
    evidence: tuple[str, ...] = ()
    name: str = ""
    under: str = ""
    """Id of the guard that spares the topmost of those that shelter it; empty when nobody does."""

    @property
    def origin(self) -> str:
        """Id of the guard without which it would not be spared."""
        return self.under or self.guard


@dataclass(frozen=True, slots=True)
class Absent:
    """There is nothing to decide about: it is gone."""

    id: ProcessId


ProcessVerdict = Condemned | Spared | Absent


@dataclass(frozen=True, slots=True)
class Stale:
    """A file of a dead session that nobody uses."""

    path: str
    device: int
    inode: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that stays."""

    path: str
    guard: str
    reason: str


FileVerdict = Stale | Kept
