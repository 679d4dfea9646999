"""Who bore whom, and who owns whom: written down while the owner lives.

After a terminal closes, a job that a person disowned and a job that an agent lost look
alike to the kernel. So ownership is recorded at birth and never guessed afterwards: a
process that is not in the ledger is nobody's to end.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import replace

from sentinel.core.facts import Death, Departure, ProcessId
from sentinel.core.members import Member, Record, Witness
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Absent, ProcessVerdict, Spared

__all__ = ["Ledger", "Member", "Record", "Witness"]


class Ledger:
    """The book of living processes and the sessions that own them.

    It is fed with what happened and asked who owns what; it looks at nothing itself. It
    holds only processes of sessions that are watched, and forgets each at its end.
    """

    def __init__(self) -> None:
        self._by_pid: dict[int, Member] = {}
        self._records: dict[str, Record] = {}
        self._by_root: dict[int, str] = {}
        self.manager_servers: dict[ProcessId, str] = {}
        """tmux servers that an Overmind started for itself, with the key of its session."""
        self.wanted: Container[ProcessId] = frozenset()
        """Whom a person wants kept: they count as kept from the moment they come in."""
        self.on_change: Callable[[], object] = _nobody_asked
        """Called whenever something that a snapshot would hold has changed."""

    # -- asked ---------------------------------------------------------------------

    def __contains__(self, pid: object) -> bool:
        """Whether ``pid`` is, or was until its end is told, a process of a watched session."""
        return pid in self._by_pid

    def __len__(self) -> int:
        return len(self._by_pid)

    def member(self, pid: int) -> Member | None:
        """The entry of ``pid``; the caller compares identities before believing it."""
        return self._by_pid.get(pid)

    def entry(self, who: ProcessId) -> Member | None:
        """The entry of that very process; None when there is none, or its number is another's in the book."""
        member = self._by_pid.get(who.pid)
        return member if member is not None and member.id == who else None

    def record(self, key: str) -> Record | None:
        """The session of that key, living or dead with something left."""
        return self._records.get(key)

    def rooted_at(self, pid: int) -> Session | None:
        """The session whose root is ``pid``."""
        key = self._by_root.get(pid)
        return self._records[key].session if key else None

    def sessions(self) -> Iterator[Record]:
        """Every session that lives or has left something."""
        return iter(self._records.values())

    def members(self, key: str) -> list[Member]:
        """What the session owns, its root left out."""
        record = self._records.get(key)
        if record is None:
            return []
        return [member for member in record.members.values() if member.id != record.session.root]

    # -- told ----------------------------------------------------------------------

    def open(self, session: Session, since: float) -> Record:
        """Write down a new session. Its root leaves the outer session's book.

        Descendants that the root already has go over to it too, unless a session of their
        own holds them: a root shadows what is outside, never what is inside.
        """
        if (known := self._records.get(session.key)) is not None:
            return known
        record = self._records[session.key] = Record(session)
        self._by_root[session.root.pid] = session.key
        root = self._by_pid.get(session.root.pid)
        if root is not None and root.id != session.root:
            self._forget(root)
            root = None
        if root is None:
            root = Member(session.root, session.key, 0, Witness.ROOT, since, kept=session.root in self.wanted)
            self._by_pid[session.root.pid] = root
        doubted = root.unread
        for member in list(self._below(root)):
            self._hand_over(member, session.key)
            member.believe(doubted)  # what it is, is told now
        self.on_change()
        return record

    def reinstate(self, record: Record) -> None:
        """Put a session back into the book, with those of its members that were verified."""
        key, root = record.session.key, record.session.root
        self._records[key] = record
        if root.pid in record.members:
            self._by_root[root.pid] = key
        else:
            self._by_root.setdefault(root.pid, key)  # the number may be a living session's by now
        for pid, member in record.members.items():
            self._by_pid[pid] = member
            if member.manager_server:
                self.manager_servers[member.id] = key
        self.on_change()

    def _below(self, member: Member) -> Iterator[Member]:
        yield member
        for pid in member.children:
            child = self._by_pid.get(pid)
            if child is not None and child.owner == member.owner:
                yield from self._below(child)

    def _hand_over(self, member: Member, key: str) -> None:
        if (before := self._records.get(member.owner)) is not None:
            before.members.pop(member.id.pid, None)
        member.owner = key
        member.spared, member.heir_of, member.foundling = None, "", False  # that was said of another session's
        self._records[key].members[member.id.pid] = member

    def amend(self, session: Session) -> None:
        """Replace what is known of a session (its belongings, its name); same key."""
        self._records[session.key].session = session
        self.on_change()

    def enter(self, child: ProcessId, parent: int, since: float, witness: Witness = Witness.FORK) -> Member | None:
        """Write down that ``parent`` bore ``child``. None when nobody watched owns the parent."""
        owner = self._by_pid.get(parent)
        if owner is None:
            return None
        known = self._by_pid.get(child.pid)
        if known is not None:
            if known.id == child:
                self._birth_told(known, parent, witness)
                return known
            self._forget(known)
        told = False if witness is Witness.FORK else None
        member = Member(child, owner.owner, parent, witness, since, executed=told)
        member.nohup, member.kept, member.unread = owner.nohup, owner.kept or child in self.wanted, owner.unread
        member.also_unread, member.spared, member.foundling = owner.also_unread, owner.spared, owner.foundling
        self._by_pid[child.pid] = member
        record = self._records[owner.owner]
        record.members[child.pid] = member
        owner.children.add(child.pid)
        if child.pid == record.session.command and owner.id != record.session.root:
            record.session = replace(record.session, command=0)  # the number is another's by now
        self.on_change()
        return member

    def claim(
        self, child: ProcessId, key: str, since: float, left: Departure | None, witness: Witness = Witness.SCOPE
    ) -> Member | None:
        """Write down that a session owns ``child``, whoever bore it. None when somebody has that number."""
        record = self._records.get(key)
        if record is None or child.pid in self._by_pid:
            return None
        found, kept = left is not None, child in self.wanted
        member = Member(child, key, 0, witness, since, left=left, foundling=found, kept=kept)
        self._by_pid[child.pid] = record.members[child.pid] = member
        self.on_change()
        return member

    def call_own(self, member: Member, key: str) -> None:
        """A living session names ``member`` as its child: whatever became of who bore it, it has not left."""
        for below in list(self._below(member)):
            self._hand_over(below, key)
        if member.left is not None:
            member.left, member.witness = None, Witness.CHILD
        self.on_change()

    def let_go(self, member: Member) -> list[ProcessId]:
        """A session calls ``member`` its own no more: it is nobody's, with all that it bore. Returns who that is."""
        gone = list(self._below(member))
        for below in gone:
            self._forget(below)
        return [below.id for below in gone]

    def _birth_told(self, member: Member, parent: int, witness: Witness) -> None:
        """The word on a birth comes after the look that found it: from here on each exec of it is told."""
        if witness is Witness.FORK and member.witness is Witness.LOOK and member.parent == parent:
            member.witness, member.executed, member.left = witness, False, None
            member.foundling = self._by_pid[parent].foundling
            self.on_change()

    def executed(self, pid: int) -> None:
        """``pid`` has replaced its program."""
        if (member := self._by_pid.get(pid)) is not None and member.executed is False:
            member.executed = True
            self.on_change()

    def ran_nohup(self, pid: int) -> None:
        """``pid`` runs ``nohup`` now: what it turns into is to outlive its terminal."""
        if (member := self._by_pid.get(pid)) is not None:
            member.nohup = True
            self.on_change()

    def keep(self, member: Member, *, kept: bool = True) -> None:
        """A person wants ``member`` to stay, whatever its session comes to, with all that it bears.

        Also with the sessions below it. ``kept=False`` takes that back.
        """
        below = [member]
        while below:
            one = below.pop()
            one.kept = kept
            below += [self._by_pid[child] for child in one.children if child in self._by_pid]
        self.on_change()

    def doubt(self, member: Member) -> None:
        """Nobody could tell what ``member`` is. It may be a session of its own, with all that it bears."""
        for below in self._below(member):
            below.doubt(member.id)
        self.on_change()

    def trust(self, who: ProcessId) -> None:
        """What ``who`` is could be told after all, or it has ended and is no session that lives."""
        for member in self._by_pid.values():
            member.believe(who)
        self.on_change()

    def manages(self, member: Member) -> None:
        """``member`` is the tmux server that its session started for itself."""
        member.manager_server = True
        self.manager_servers[member.id] = member.owner
        self.on_change()

    def exited(self, pid: int, death: Death) -> Session | None:
        """``pid`` has ended. Returns the session whose root it was, if it was one.

        The children it leaves are told apart here, while it can be known: they lost their
        parent *before* their session died, which is what a daemon does on purpose.
        """
        member = self._by_pid.get(pid)
        if member is None:
            return None
        record = self._records[member.owner]
        is_root = record.session.root == member.id
        # By when it was, not by when it was told: two processors may tell of their ends in any order.
        before = record.death is None or death.at < record.death.at
        # The middle of a double fork: it had left while the session lived, and was gone before it was judged.
        between = member.left is not None and member.spared is None and death.by_itself is True
        if not is_root and (before or between):
            self.outlived(member, death)
        for child in member.children & self._by_pid.keys():
            self._by_pid[child].heir_of = member.spared or ""
        self._forget(member)
        if not is_root:
            return None
        record.death = death
        return record.session

    def outlived(self, member: Member, death: Death) -> None:
        """``member`` ended before its session did: its children have left. It stays in the book.

        What it bore in its last moment may be told after the word on the session's death.
        """
        self._leave(member.children, death, forked_only=None if member.executed is None else not member.executed)

    def _leave(self, children: Iterable[int], death: Death, *, forked_only: bool | None) -> None:
        """Write into the entries of a dead parent's children that their session outlived it."""
        departure = Departure(death.at, death.by_itself, forked_only)
        for child in children:
            if (orphan := self._by_pid.get(child)) is not None and orphan.left is None:
                orphan.left = departure

    def succeed(self, key: str, heir: ProcessId) -> Session:
        """The root daemonised itself: ``heir`` goes on as the same session.

        The other children of the old root have lost their parent while their session lives.
        Returns the session under its new key.
        """
        record = self._records[key]
        if record.death is not None:
            borne = [pid for pid, member in record.members.items() if member.parent == record.session.root.pid]
            self._leave(borne, record.death, forked_only=False)  # it was recognised by the program that it ran
        return self.become(key, replace(record.session, root=heir))

    def become(self, key: str, session: Session) -> Session:
        """What was known under ``key`` is ``session`` from now on, living, with all that it owns."""
        record = self._records.pop(key)
        self._by_root.pop(record.session.root.pid, None)
        record.session, record.death = session, None
        self._records[session.key] = record
        self._by_root[session.root.pid] = session.key
        for member in record.members.values():
            member.owner = session.key
        for server, owner in self.manager_servers.items():
            if owner == key:
                self.manager_servers[server] = session.key
        for other in self._records.values():
            if other.session.outer == key:
                other.session = replace(other.session, outer=session.key)
        self.on_change()
        return session

    def judged(self, verdicts: Iterable[ProcessVerdict]) -> None:
        """What a dead session left was judged: whoever was spared stays, and what it bears is at work for it."""
        for verdict in verdicts:
            if (member := self.entry(verdict.id)) is not None and not isinstance(verdict, Absent):
                member.spared = verdict.origin if isinstance(verdict, Spared) else ""
        self.on_change()

    def settle(self, record: Record) -> None:
        """A dead session was cleaned up after."""
        record.settled = True
        self.on_change()

    def close(self, key: str) -> None:
        """Forget a session that is dead and has nothing left. Those inside of it are inside of what was around it."""
        record = self._records.pop(key)
        for other in self._records.values():
            if other.session.outer == key:
                forgotten = (*other.session.forgotten, *record.session.names)
                other.session = replace(other.session, outer=record.session.outer, forgotten=forgotten)
        if self._by_root.get(record.session.root.pid) == key:
            del self._by_root[record.session.root.pid]
        for member in list(record.members.values()):
            self._forget(member)
        self.on_change()

    def _forget(self, member: Member) -> None:
        pid = member.id.pid
        del self._by_pid[pid]
        self.manager_servers.pop(member.id, None)
        if (record := self._records.get(member.owner)) is not None:
            record.members.pop(pid, None)
        if (parent := self._by_pid.get(member.parent)) is not None:
            parent.children.discard(pid)
        self.on_change()


def _nobody_asked() -> None:
    """No snapshots are taken."""
