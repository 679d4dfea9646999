"""What of the ledger outlives the agent, and how much of it the next agent may believe.

Ownership is written down while the owner lives; an agent that starts in mid-session cannot
find it out. So the one before leaves what it had proven. A snapshot says who was whose, and
never who is: each identity is verified before it goes back into the book.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sentinel.core.facts import Death, Departure, ProcessId, Unknown
from sentinel.core.ledger import Ledger, Member, Record
from sentinel.core.sessions import Session


@dataclass(frozen=True, slots=True)
class Saved:
    """A session, living or dead with something left, and what the ledger held of it."""

    session: Session
    members: tuple[Member, ...]
    death: Death | None = None
    settled: bool = False
    files_kept: bool = False


def take(ledger: Ledger) -> tuple[Saved, ...]:
    """What the ledger holds now. The members are its own: encode them before anything else happens."""
    return tuple(
        Saved(record.session, tuple(record.members.values()), record.death, record.settled, record.files_kept)
        for record in ledger.sessions()
    )


def contradiction(saved: Iterable[Saved]) -> str:
    """Why this cannot be what a ledger held; empty when it can."""
    keys: set[str] = set()
    pids: set[int] = set()
    for one in saved:
        key, root = one.session.key, one.session.root
        if key in keys:
            return f"session {key} is there twice"
        keys.add(key)
        for member in one.members:
            if member.id.pid <= 1 or member.id.start < 0 or member.owner != key:
                return f"process {member.id} cannot be of session {key}"
            if member.id.pid in pids:
                return f"process {member.id.pid} is there twice"
            pids.add(member.id.pid)
        if any(member.id == root for member in one.members) is (one.death is not None):
            return f"session {key} is neither alive nor dead"
    return ""


Living = Callable[[ProcessId], bool | Unknown]


def restore(ledger: Ledger, saved: Iterable[Saved], living: Living, at: float) -> list[Record]:
    """Put back into the book what is still true.

    Whoever has ended meanwhile is left out. Its children have left it in a way that nobody
    saw: whether they were meant to stay cannot be told, so they count as having left before
    their session died. A session whose root has ended is dead as of now, in a way that
    nobody saw either. One of whose root nobody can tell is left out as a whole. So is a process
    of which nobody can tell, and what it bore is in doubt: it hangs under somebody unknown.

    Args:
        ledger: An empty one.
        saved: What the agent before held.
        living: Whether that very process lives.
        at: Monotonic seconds.

    Returns:
        The sessions that were put back.
    """
    records = []
    left: set[int] = set()
    doubtful: set[int] = set()
    for one in saved:
        root_lives = one.death is None and living(one.session.root)
        if isinstance(root_lives, Unknown):
            continue
        lives = {member.id.pid: living(member.id) for member in one.members}
        members = {member.id.pid: member for member in one.members if lives[member.id.pid] is True}
        doubtful = doubtful.union(*(m.children for m in one.members if isinstance(lives[m.id.pid], Unknown)))
        gone = [m for m in one.members if m.id.pid not in members and m.id != one.session.root]
        _bequeath(gone, members)
        if one.death is None:
            left = left.union(*(m.children for m in gone))
        death = one.death if one.death is not None or root_lives else Death(at)
        records.append(Record(one.session, members, death, one.settled, one.files_kept))
    for record in records:
        ledger.reinstate(record)
    restored = [member for record in records for member in record.members.values()]
    for member in restored:
        _as_of_now(member, ledger)
        if member.id.pid in left and member.left is None:
            member.left = Departure(at, None)
    for member in filter(lambda member: member.id.pid in doubtful, restored):
        ledger.doubt(member)
    return records


def _bequeath(gone: Iterable[Member], members: dict[int, Member]) -> None:
    """Have what was borne by those that were spared be their heirs, within the same session."""
    for one in gone:
        for child in one.children & members.keys():
            members[child].heir_of = one.spared or ""


def _as_of_now(member: Member, ledger: Ledger) -> None:
    """Take out what may have changed while nobody was told of it."""
    member.children = {
        pid for pid in member.children if (child := ledger.member(pid)) and child.parent == member.id.pid
    }
    if member.executed is False:
        member.executed = None
