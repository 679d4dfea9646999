"""The fresh look that every judgement is made from.

The same look serves a death, the second look before SIGKILL, ``explain`` and the start-up:
an event only says when to look, never what to believe.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sentinel.core.facts import Above, Gone, ProcessFacts, ProcessId, Stdio, Unknown
from sentinel.core.guards import Case, Ourselves, World, wants_stdio
from sentinel.core.judge import judge
from sentinel.core.ledger import Ledger, Member, Record
from sentinel.core.policy import KindPolicy, Policy
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Absent, ProcessVerdict, Spared
from sentinel.observe import processes
from sentinel.observe.handles import Handles

_NO_GROUP = -1
"""No process is in this group. (0 is what a group outside of this pid namespace looks like.)"""


def find_ourselves(*, with_group: bool = True) -> Ourselves:
    """Who we are, and what we hang on. An unreadable chain is an error: nothing could be told apart.

    ``with_group`` is for who has a process group to itself. The wrapper of a ``sentinel run``
    shares one with its command, on purpose.

    Raises:
        RuntimeError: The chain of our own parents cannot be read.
    """
    chain = processes.chain(os.getppid())
    if isinstance(chain, Unknown):
        raise RuntimeError(str(chain))  # noqa: TRY004 - an answer that is missing, not a wrong type
    return Ourselves(
        os.getpid(), os.getpgrp() if with_group else _NO_GROUP, os.getuid(), frozenset(link.id.pid for link in chain)
    )


@dataclass(slots=True)
class _Look:
    """What is kept while the processes of one session are judged together."""

    world: World
    above: dict[int, Above] = field(default_factory=dict)
    alone: dict[ProcessId, ProcessVerdict] = field(default_factory=dict)
    """Verdicts on processes for themselves, whatever they hang under."""


class Examiner:
    """Builds cases from the ledger and a fresh look, and has them judged."""

    def __init__(self, ledger: Ledger, handles: Handles, policy: Callable[[], Policy], ourselves: Ourselves) -> None:
        self._ledger = ledger
        self._handles = handles
        self._policy = policy
        self._ourselves = ourselves

    def left_by(self, record: Record) -> tuple[ProcessVerdict, ...]:
        """Judge everything that a session owns but its root."""
        look = _Look(self._world(record))
        return tuple(
            judge(self._case(member.id, member, record, look)) for member in self._ledger.members(record.session.key)
        )

    def verdict(self, who: ProcessId) -> ProcessVerdict:
        """Judge one process."""
        return judge(self.case(who))

    def case(self, who: ProcessId) -> Case:
        """All that is known of a process, whether it is in the ledger or not."""
        member = self._ledger.member(who.pid)
        if member is not None and member.id != who:
            member = None
        record = self._ledger.record(member.owner) if member is not None else None
        return self._case(who, member, record, _Look(self._world(record)))

    def _world(self, record: Record | None) -> World:
        roots = {r.session.root: r.session for r in self._ledger.sessions() if r.death is None}
        outer = self._ledger.record(record.session.outer) if record is not None else None
        if outer is not None and self._handles.ended(outer.session.root) is True:
            roots.pop(outer.session.root, None)  # its death has not been told yet: they died together
        for root, session in roots.items():
            if record is not None and self._is_inside(session, record.session.key):
                roots[root] = replace(session, outer=record.session.key)  # also when those between them are dead
        return World(self._ourselves, roots, self._ledger.manager_servers)

    def _is_inside(self, session: Session, key: str) -> bool:
        """Whether it was born in the session of that key, or in one that was."""
        passed = {session.key}
        while session.outer not in passed:
            if session.outer == key:
                return True
            passed.add(session.outer)
            if (around := self._ledger.record(session.outer)) is None:
                return False
            session = around.session
        return False

    def _case(self, who: ProcessId, member: Member | None, record: Record | None, look: _Look) -> Case:
        case = self._case_alone(who, member, record, look)
        if record is None or record.death is None or isinstance(case.chain, Unknown):
            return case
        for link in case.chain:
            bearer = record.members.get(link.id.pid)
            if bearer is None:
                continue
            if bearer.id != link.id:
                return replace(case, chain=Unknown(f"who process {link.id.pid} above it is", "it is not whom we knew"))
            if link.id not in look.alone:
                look.alone[link.id] = judge(self._case_alone(link.id, bearer, record, look))
            match look.alone[link.id]:
                case Spared() as verdict:
                    return replace(case, shelter=verdict)
                case Absent():  # the chain was read before: it is another one by now
                    return replace(case, chain=Unknown(f"what process {who.pid} hangs under", "it has just changed"))
        return case

    def _case_alone(self, who: ProcessId, member: Member | None, record: Record | None, look: _Look) -> Case:
        facts = processes.look(who.pid)
        stdio: Stdio | Unknown | None = None
        chain: tuple[Above, ...] | Unknown = ()
        if isinstance(facts, ProcessFacts) and facts.id == who:
            chain = processes.chain(facts.parent, look.above)
            if wants_stdio(member, facts):
                stdio = processes.stdio(who.pid)
            ended = self._handles.ended(who)
            if ended is True:
                facts = Gone()  # it ended while we read: what was read may be of its successor
            elif isinstance(ended, Unknown):
                facts = ended
            elif ended is False and facts.dead:
                facts = replace(facts, state="S")  # its first thread has ended, and others go on
        return Case(
            id=who,
            member=member,
            session=record.session if record is not None else None,
            death=record.death if record is not None else None,
            facts=facts,
            stdio=stdio,
            chain=chain,
            policy=self._policy_for(record),
            world=look.world,
        )

    def _policy_for(self, record: Record | None) -> KindPolicy:
        return KindPolicy() if record is None else self._policy().of(record.session.kind)
