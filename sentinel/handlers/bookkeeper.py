"""Keeps the ledger: births, ends, and the deaths of sessions that follow from them."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from sentinel.bus import Bus
from sentinel.core.events import (
    FOUND,
    ProcessExecuted,
    ProcessExited,
    ProcessForked,
    SessionDied,
    SessionEmptied,
    SessionMoved,
    SessionOpened,
)
from sentinel.core.facts import Above, Death, Departure, Gone, ProcessFacts, ProcessId, Unknown
from sentinel.core.ledger import Ledger, Member, Record, Witness
from sentinel.core.sessions import Belongings, Kind, Session
from sentinel.handlers.exits import Exits
from sentinel.handlers.recognition import same_program
from sentinel.handlers.wrappers import command_of
from sentinel.observe import processes
from sentinel.observe.age import born_at
from sentinel.observe.handles import Handles

_GONE_BEFORE_WE_LOOKED = 0
"""Start time of a process that had ended before its handle could be taken. It is written down
all the same: its children inherit through it. No living process has this start time."""

_BIRTH_SLACK = 0.05
"""Seconds by which a start time may lie after the kernel's word on the birth, by the clocks' own
errors. Before it, it may lie as long as the kernel likes: it is taken first."""

_SEEN = frozenset({Witness.LOOK, Witness.CHILD})
"""What is known only to hang under its parent."""

_SAME_END = 0.5
"""Seconds between the end of a process's first thread and of its last that are one end: the
threads of a process that is killed die one after the other, with the same status."""


class Bookkeeper:
    """Writes births and ends into the ledger, and publishes the deaths of sessions.

    Args:
        sampled: Births come from samples and not from the kernel: they are looked at once
            more, and ends are waited for on pidfds.
        runtime: Where each ``sentinel run`` leaves its mark.
    """

    def __init__(
        self, bus: Bus, ledger: Ledger, handles: Handles, exits: Exits, *, sampled: bool, runtime: Path
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._handles = handles
        self._exits = exits
        self._sampled = sampled
        self._runtime = runtime
        self._told: dict[ProcessId, Death] = {}
        """What was told of first threads that ended before the others of their process."""
        self._unsure: set[ProcessId] = set()
        """Of whom an end was told, and nobody could tell whether it was theirs."""
        bus.subscribe(ProcessForked, self.forked)
        bus.subscribe(ProcessExecuted, lambda event: ledger.executed(event.pid))
        bus.subscribe(ProcessExited, self.exited)

    def forked(self, event: ProcessForked) -> None:
        """A watched process bore a child: take hold of it and write it down."""
        if self._sampled:
            who = self._handles.take(event.child)
            if isinstance(who, ProcessId):
                self.enter_seen(who, event.parent, event.at, Witness.LOOK)
            return
        bearer, known = self._ledger.member(event.parent), self._ledger.member(event.child)
        if any(member is not None and _born_after(member.id, event.at) for member in (bearer, known)):
            return  # told so late that the number of one of them has gone to another whom we know
        born_again = known is not None and known.witness is Witness.FORK
        if known is not None and self._gave_up_its_number(known, event.at, born_again=born_again) is True:
            self.write_off(known, Death(time.monotonic()))
            known = None
        if bearer is None:
            return
        if (another := self._gave_up_its_number(bearer, event.at)) is True:
            self.write_off(bearer, Death(time.monotonic()))
            return
        who = self._handles.take(event.child)
        if isinstance(who, ProcessId) and _born_after(who, event.at):
            # The number has gone to another process since: let that one go.
            self._handles.drop(who)
            who = Gone()
        unseen = known.id if known is not None else ProcessId(event.child, _GONE_BEFORE_WE_LOOKED)
        name = who if isinstance(who, ProcessId) else unseen
        member = self.enter(name, event.parent, event.at, Witness.FORK)
        if member is not None and (isinstance(who, Unknown) or isinstance(another, Unknown)):
            self._ledger.doubt(member)

    def _gave_up_its_number(self, member: Member, at: float, *, born_again: bool = False) -> bool | Unknown:
        """Whether it had ended at ``at`` (monotonic seconds), unheard, and its number was another's.

        The kernel can lose the word on an end, and what the number's next owner bears is
        nobody's. One that has merely ended since bore what is told of it: its end is told next.
        ``born_again``: a second birth of this number is being told.
        """
        if (ended := self._handles.ended(member.id)) is not True:
            return ended
        if born_again:
            return True
        holder = processes.identify(member.id.pid)
        if isinstance(holder, Gone) and member.id in self._unsure:
            return Unknown(f"whether process {member.id.pid} was another's by then", "its end was told before")
        if isinstance(holder, Gone) or holder == member.id:
            return False
        if isinstance(holder, Unknown):
            return holder
        if member.id.start == _GONE_BEFORE_WE_LOOKED and not _born_after(holder, member.since):
            return False  # it is that very process, dead and not reaped yet
        return not _certainly_before(at, holder)

    def make_way(self, who: ProcessId) -> None:
        """Write off whoever is in the book under the number of ``who``: it has ended unheard.

        One that nobody could get hold of at its birth is ``who`` itself, unless that is younger.
        """
        known = self._ledger.member(who.pid)
        if known is None or known.id == who:
            return
        if known.id.start == _GONE_BEFORE_WE_LOOKED and not _born_after(who, known.since):
            known.id = who
        else:
            self.write_off(known, Death(time.monotonic()))

    def enter_seen(self, child: ProcessId, parent: int, since: float, witness: Witness) -> None:
        """Write down a child, whose handle was taken, that hangs under ``parent`` - if that is still so.

        Both must live while the link between them is read: then the numbers cannot have gone
        to others in between.
        """
        link = processes.above(child.pid)
        bearer = self._ledger.member(parent)
        there = isinstance(link, Above) and link.id == child and link.parent == parent
        if there and bearer is not None and self._handles.ended(bearer.id) is False:
            self.enter(child, parent, since, witness)
        elif self._ledger.member(child.pid) is None:
            self._handles.drop(child)

    def enter(self, child: ProcessId, parent: int, since: float, witness: Witness) -> Member | None:
        """Write a child down under its parent; None when the parent is not watched."""
        self.make_way(child)
        fallen = witness in _SEEN and child.pid not in self._ledger and self._may_have_fallen_to(parent, child.pid)
        inside = fallen and self._has_inner_sessions(parent)  # then it may be one of theirs: nobody's
        member = self._ledger.enter(child, parent, since, witness) if not inside else None
        if member is None:
            self._handles.drop(child)
            return None
        if self._sampled:
            self._exits.watch(child)
        if fallen:
            member.left, member.foundling = Departure(since, None), True
        return member

    def _has_inner_sessions(self, pid: int) -> bool:
        """Whether sessions were born in the one that owns ``pid`` and are not forgotten yet."""
        member = self._ledger.member(pid)
        return member is not None and any(r.session.outer == member.owner for r in self._ledger.sessions())

    def claim(self, who: ProcessId, key: str) -> None:
        """Write down one that nobody saw born, by where it stands. Nor did anybody see what it lost its parent to."""
        now = time.monotonic()
        if self._ledger.claim(who, key, born_at(who), Departure(now, None)) is None:
            self._handles.drop(who)
        elif self._sampled:
            self._exits.watch(who)

    def adopt_below(self, pid: int) -> list[int]:
        """Write down everything that hangs under a watched process and is not in the ledger yet.

        A session is recognised a moment after its birth, and may have borne children by then.

        Returns:
            Their pids, parents first: what they are nobody was told.
        """
        parents, entered = [pid], []
        while parents:
            parent = parents.pop()
            children = processes.children(parent)
            for child in children if isinstance(children, list) else ():
                if self._ledger.member(child) is None and isinstance(who := self._handles.take(child), ProcessId):
                    self.enter_seen(who, parent, time.monotonic(), Witness.LOOK)
                    parents.append(child)
                    entered.append(child)
        return entered

    def _may_have_fallen_to(self, parent: int, pid: int) -> bool:
        """Whether it may not have been born of ``parent``, but have lost its own and fallen to that one.

        ``sentinel run`` bears one process, the command, and is the subreaper of all others. Who
        else is a subreaper the kernel does not tell; but a daemon that falls to one has a session
        of its own, or one that its parent made.
        """
        session = self._ledger.rooted_at(parent)
        if session is not None and session.kind is Kind.TMUX:
            return False  # tmux is nobody's subreaper, and each of its panes leads a session
        if (member := self._ledger.member(parent)) is not None and member.manager_server:
            return False  # nor is that of an Overmind
        told = session.command if session is not None and session.kind is Kind.RUN else 0
        # What a wrapper tells us waits in the inbox, and what fell to it may be seen before that is read.
        if (command := told or command_of(self._runtime, parent)) is not None:
            return command != pid  # 0: it may be the command, which is known to be none when it is told of
        facts, bearer = processes.look(pid), processes.look(parent)
        if not isinstance(facts, ProcessFacts) or not isinstance(bearer, ProcessFacts):
            return True
        return facts.session != bearer.session

    def exited(self, event: ProcessExited) -> None:
        """A watched process seems to have ended: make sure, and write it off."""
        member = self._ledger.member(event.pid)
        if member is None:
            return
        ended = self._handles.ended(member.id)
        if ended is not True:
            # Its first thread has ended and others go on, or nobody could tell.
            if isinstance(ended, Unknown):
                self._unsure.add(member.id)
            else:
                self._told[member.id] = event.death
                self._exits.watch(member.id)
            return
        self.write_off(member, event.death)

    def write_off(self, member: Member, death: Death) -> None:
        """It has ended. Publish what follows from that."""
        told = self._told.pop(member.id, None)
        self._unsure.discard(member.id)
        if death.status is None:
            death = replace(death, status=self._handles.status(member.id))
        if death.status is None and told is not None and death.at - told.at <= _SAME_END:
            death = replace(death, status=told.status)
        self._exits.forget(member.id)
        self._handles.drop(member.id)
        record = self._ledger.record(member.owner)
        if record is not None and record.death is None and record.session.root == member.id:
            self._who_ended_before(record)
        session = self._ledger.exited(member.id.pid, death)
        if session is not None:
            self._root_ended(session, death)
        elif record is not None and record.death is not None and not record.members:
            self._bus.publish(SessionEmptied(record.session.key))

    def _who_ended_before(self, record: Record) -> None:
        """Find who else of a session has ended, before its root is written off.

        Whoever lost a parent while the session lived has left; the words on both ends may come
        in any order, or the earlier one not at all. Of whom nobody can tell, it may have ended.
        """
        now = time.monotonic()
        for member in self._ledger.members(record.session.key):
            if self._handles.ended(member.id) is not False:
                self._ledger.outlived(member, Death(now, self._handles.status(member.id)))

    def _root_ended(self, session: Session, death: Death) -> None:
        if not self.goes_on(session, death):
            self._bus.publish(SessionDied(session, death))

    def goes_on(self, session: Session, death: Death) -> bool:
        """Whether the session outlives its root, which has ended; if so, it is watched on.

        Such a root put itself into the background (``overmind start -D``): it forks and ends
        with status 0. The child may not have made a session of its own yet, so any child that
        runs the same program counts: to take one too many for a session only means to wait
        for its end. So the first of them is the session from now on, and each other one of
        them, at work like it, is one of its own.
        """
        # Not to know how it ended is no proof that it did not go into the background.
        if session.kind not in {Kind.OVERMIND, Kind.AGENT} or (death.code != 0 and death.status is not None):
            return False
        heirs = self._heirs(session)
        if not heirs:
            return False
        successor = self._ledger.succeed(session.key, heirs[0])
        self._exits.watch(successor.root)
        self._bus.publish(SessionMoved(successor, session))
        for heir in heirs[1:]:
            sibling = replace(session, root=heir, belongings=Belongings())
            self._ledger.open(sibling, time.monotonic())
            self._exits.watch(heir)
            self._bus.publish(SessionOpened(sibling, FOUND))
        return True

    def _heirs(self, session: Session) -> list[ProcessId]:
        heirs = []
        for member in self._ledger.members(session.key):
            if member.parent != session.root.pid:
                continue
            same = same_program(member.id.pid, session)
            if same is False or self._handles.ended(member.id) is not False:
                continue
            if same is True:
                heirs.append(member.id)
            else:
                self._ledger.doubt(member)
        return heirs

    def resume(self, record: Record) -> None:
        """Wait again for the ends of a session that was in the book of the agent before."""
        for member in record.members.values():
            if self._sampled or member.id == record.session.root:
                self._exits.watch(member.id)

    def look_after(self) -> None:
        """Write off every process in the ledger that has ended unnoticed."""
        now = time.monotonic()
        for record in list(self._ledger.sessions()):
            for member in list(record.members.values()):
                if self._handles.ended(member.id) is True:
                    self.write_off(member, Death(now))


def _born_after(who: ProcessId, at: float) -> bool:
    """Whether a process is younger than a birth that was told for ``at`` (monotonic seconds)."""
    return _certainly_before(at + _BIRTH_SLACK, who)


def _certainly_before(at: float, who: ProcessId) -> bool:
    """Whether ``at`` (monotonic seconds) lies before the birth of ``who``, whose start time is cut to a tick."""
    return at < born_at(who)
