"""What may be asked of the reaper: imperative, complete, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.core.facts import ProcessId
from sentinel.core.rules.locks import LockKind, Shape
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Condemned, Stale


@dataclass(frozen=True, slots=True)
class Terminate:
    """End processes: SIGTERM to all at once in this order, SIGKILL after the grace."""

    session: Session
    targets: tuple[Condemned, ...]
    """Deepest first, so that a parent does not revive a child that it sees die."""
    grace: float
    """Seconds."""


@dataclass(frozen=True, slots=True)
class RemoveSocket:
    """Move a dead socket file out of the way."""

    session: Session
    target: Stale


@dataclass(frozen=True, slots=True)
class RemoveDirectory:
    """Move a dead session's script directory out of the way."""

    session: Session
    target: Stale


@dataclass(frozen=True, slots=True)
class KillGroup:
    """Kill whoever is in the control group that a dead ``sentinel run`` had made for its command, at one blow."""

    session: Session
    path: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unstick:
    """Send SIGCHLD to a tmux server that lost one: it reaps what it forgot. Harms nothing."""

    server: ProcessId
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reopen:
    """Send SIGUSR1 to a tmux server whose socket is gone: it makes that anew."""

    server: ProcessId
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SweepSockets:
    """Remove dead socket files that nobody watched being made, all of one directory."""

    directory: str
    targets: tuple[Stale, ...]


@dataclass(frozen=True, slots=True)
class RemoveLock:
    """Move the lock of a process that has ended out of the way."""

    target: Stale
    kind: LockKind
    shape: Shape


Action = Terminate | KillGroup | RemoveSocket | RemoveDirectory | Unstick | Reopen | SweepSockets | RemoveLock


class Result(StrEnum):
    """What became of a target: what happened, not what was tried."""

    ENDED = "ended"
    """It ended within the grace after SIGTERM."""
    KILLED = "killed"
    """It ended after SIGKILL."""
    GONE = "gone"
    """It had ended before anything was sent."""
    SURVIVED = "survived"
    """It is still there."""
    REFUSED = "refused"
    """The reaper would not touch it; the reason says why."""
    HELD = "held"
    """It was to be ended, but Sentinel is paused or mistrusts itself; the reason says which."""
    KEPT = "kept"
    """The file stays; the reason says why."""
    REMOVED = "removed"
    """The file is in quarantine."""
    CURED = "cured"
    """It was sent the signal that heals it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one target."""

    target: str
    """``PID@START`` or a path."""
    result: Result
    reason: str = ""
    name: str = ""

    @property
    def is_done(self) -> bool:
        """Whether a file was dealt with, and did not stay for a reason that may pass."""
        return self.result is not Result.KEPT
