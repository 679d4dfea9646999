"""What the ledger's book is made of: processes, how each came into it, and the sessions that own them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from sentinel.core.facts import Death, Departure, ProcessId
from sentinel.core.sessions import Session


class Witness(StrEnum):
    """How a process came into the ledger. Each but the last is a proof of descent."""

    FORK = "its birth was seen"
    LOOK = "it was seen under its living parent"
    ROOT = "it is what the session was started as"
    CHILD = "its session named it as a child before it died"
    CLIENT = "a living process of its session is the client that started it"
    SCOPE = "it stands in the control group that was made for its session"
    WORD = "a person said that it was left behind"


@dataclass(slots=True)
class Member:
    """A living process that a session owns."""

    id: ProcessId
    owner: str
    """Key of its session."""
    parent: int
    """The pid that bore it, whatever became of that."""
    witness: Witness
    since: float
    """Monotonic seconds: its birth, or when it was first seen."""
    manager_server: bool = False
    """It is the tmux server that an Overmind started for itself, and dies with it."""
    executed: bool | None = None
    """It has replaced its program since its birth. None: nobody would have told us."""
    nohup: bool = False
    """It, or one that it was born of, ran ``nohup``."""
    kept: bool = False
    """A person said `sentinel keep` of it, of one that it was born of, or of its session."""
    unread: ProcessId | None = None
    """It, or one that it was born of, of which nobody could tell what it was when that was asked."""
    also_unread: tuple[ProcessId, ...] = ()
    """Others of that sort."""
    left: Departure | None = None
    foundling: bool = False
    """Nobody saw who bore it, or one that it was born of: that may have been a session inside."""
    spared: str | None = None
    """Id of the guard that spared it, or one that it was born of, when what its dead session left was judged last:
    for whom another one shelters, of that which spared the topmost.
    Empty: it was to be ended. None: it was not judged yet."""
    heir_of: str = ""
    """The same of what bore it, which has ended since; empty while that lives, or was to be ended."""
    children: set[int] = field(default_factory=set)

    def doubt(self, who: ProcessId) -> None:
        """``who`` is a reason to doubt what it is, and perhaps not the only one."""
        if self.unread is None:
            self.unread = who
        elif who not in {self.unread, *self.also_unread}:
            self.also_unread += (who,)

    def believe(self, who: ProcessId | None) -> None:
        """``who`` is no reason to doubt what it is; others may be."""
        doubts = [one for one in (self.unread, *self.also_unread) if one is not None and one != who]
        self.unread = doubts[0] if doubts else None
        self.also_unread = tuple(doubts[1:])


@dataclass(slots=True)
class Record:
    """A session and what the ledger holds of it."""

    session: Session
    members: dict[int, Member] = field(default_factory=dict)
    death: Death | None = None
    settled: bool = False
    """What it left was judged, and what was to be ended has been."""
    files_kept: bool = False
    """Files of it stay, for a reason that may pass."""
