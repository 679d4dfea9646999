"""What the registry holds, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from sentinel.core.facts import ProcessId

REPLACED = "another process has registered under its id"
"""Why a session has ended whose id is the next one's."""


class Status(StrEnum):
    """Whether a session is over, as far as anybody said."""

    ACTIVE = "active"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process number means something."""

    host: str
    boot: str
    """The kernel's id of the boot."""
    namespace: int = 0
    """Inode of the pid namespace; 0 where there are none."""


class Proof(StrEnum):
    """What showed that a child is its session's, when it was written down."""

    DESCENDS = "descends"
    """It hung under the session's process."""
    NAMED = "named"
    """The session's process, or one that hung under it, named it."""
    NONE = ""
    """Nothing that is known."""


class Child(NamedTuple):
    """A process that a session calls its own."""

    id: ProcessId
    proof: Proof


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered session."""

    id: str
    generation: int
    """Counts the sessions that have had this id: names are reused like pids are."""
    kind: str
    name: str
    project: str
    labels: Mapping[str, str]
    place: Place
    root: ProcessId
    status: Status
    registered: float
    """Wall-clock seconds since the epoch, as are the other times but ``beat``."""
    heartbeat: float
    beat: float
    """Monotonic seconds of the last heartbeat: they stand still while the machine sleeps."""
    ended: float | None = None
    why: str = ""
    """How it came to its end."""
    children: tuple[Child, ...] = field(default=())

    @property
    def key(self) -> str:
        """The id and its generation."""
        return f"{self.id}#{self.generation}"
