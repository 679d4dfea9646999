"""The fresh look that every judgement is made from.

The same look serves a death, the second look before SIGKILL, ``explain`` and the start-up:
an event only says when to look, never what to believe.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace

from sentinel.core.facts import Above, Gone, ProcessFacts, ProcessId, Stdio, Unknown
from sentinel.core.guards import (
    FIRST_LOOK,
    SECOND_LOOK,
    SERVING,
    Case,
    Guard,
    Ourselves,
    World,
    wants_birth,
    wants_stdio,
)
from sentinel.core.guards.case import NOBODY
from sentinel.core.judge import judge, mercy
from sentinel.core.ledger import Ledger, Member, Record
from sentinel.core.policy import KindPolicy, Policy
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Absent, ProcessVerdict, Spared
from sentinel.observe import processes
from sentinel.observe.age import born_at
from sentinel.observe.handles import Handles
from sentinel.observe.surroundings import Neighbourhood

_SERVES = tuple(guard for guard in SECOND_LOOK if guard.id == SERVING)

Ask = Callable[[Case, tuple[Guard, ...]], Spared | Absent | None]
"""Whether one of these guards spares: as ``mercy`` does, or after a person said yes (core/consent.py)."""


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
    group = os.getpgrp() if with_group else NOBODY
    return Ourselves(os.getpid(), group, os.getuid(), frozenset(link.id.pid for link in chain))


class _Look:
    """One look at the processes of a session, judged together: first cheaply, then dearly.

    Only whom no guard spares at the first look is looked at again. Those are *inside*: about to
    end together. Whoever is spared at the second look is outside for the others from then on,
    so they are asked again until nobody more is spared.
    """

    def __init__(self, world: World, policy: KindPolicy, session: Session | None, ask: Ask) -> None:
        self.world = world
        self.policy = policy
        self._ask = ask
        self.above: dict[int, Above] = {}
        self.cases: dict[ProcessId, Case] = {}
        self._mercy: dict[ProcessId, Spared | Absent | None] = {}
        self._input = session.input if session is not None else ""

    def add(self, case: Case) -> None:
        """Take a case in, and judge it by itself."""
        self.cases[case.id] = case
        self._mercy[case.id] = self._ask(case, FIRST_LOOK)

    @property
    def verdicts(self) -> tuple[ProcessVerdict, ...]:
        """What was decided about each."""
        return tuple(verdict or judge(self.cases[who], ()) for who, verdict in self._mercy.items())

    def judge(self) -> None:
        """Judge all that were taken in, each in the light of the others."""
        traced = {
            case.facts.tracer: case.id.pid for case in self.cases.values() if isinstance(case.facts, ProcessFacts)
        }
        for who in [who for who in self._condemned() if who.pid in traced]:
            self._again(replace(self.cases[who], tracees=(traced[who.pid],)), FIRST_LOOK)
        jobs = self._stopped_jobs()
        for who in [who for who in self._condemned() if who.pid in jobs]:
            self._again(replace(self.cases[who], jobs=(jobs[who.pid],)), FIRST_LOOK)
        self._shelter()
        if not any(self._condemned()):
            return
        with contextlib.closing(Neighbourhood()) as neighbourhood:
            while True:
                inside = [who.pid for who in self._condemned()]
                for who in self._condemned():
                    around = neighbourhood.around(who.pid, inside, self._input)
                    self._again(replace(self.cases[who], surroundings=around), SECOND_LOOK)
                self._ask_those_under(neighbourhood)
                self._need()
                self._shelter()
                if len(list(self._condemned())) in {0, len(inside)}:
                    return

    def _stopped_jobs(self) -> dict[int, int]:
        """Stopped processes by those whose end may leave their process group orphaned.

        A group is orphaned when none of its members has a parent in another group of the same session.
        """
        facts = {case.id.pid: case.facts for case in self.cases.values() if isinstance(case.facts, ProcessFacts)}
        stopped = {(each.session, each.group): pid for pid, each in facts.items() if each.state == "T"}
        found = {}
        for each in facts.values() if stopped else ():
            above, job = facts.get(each.parent), stopped.get((each.session, each.group))
            if above is not None and job is not None and above.session == each.session and above.group != each.group:
                found[each.parent] = job
        return found

    def _again(self, case: Case, guards: tuple[Guard, ...]) -> None:
        self.cases[case.id] = case
        self._mercy[case.id] = self._ask(case, guards)

    def _condemned(self) -> list[ProcessId]:
        return [who for who, verdict in self._mercy.items() if verdict is None]

    def _ask_those_under(self, neighbourhood: Neighbourhood) -> None:
        """Whoever is spared for another reason may serve somebody as well, through those above it.

        Its fellows of the dead session are nobody in that: a container's own pipes are no client's.
        """
        condemned, fellows = set(self._condemned()), [who.pid for who in self.cases]
        for who, verdict in self._mercy.items():
            case = self.cases[who]
            if not isinstance(verdict, Spared) or case.surroundings is not None or isinstance(case.chain, Unknown):
                continue
            if any(link.id in condemned for link in case.chain):
                around = neighbourhood.around(who.pid, fellows, self._input)
                self.cases[who] = replace(case, surroundings=around)

    def _need(self) -> None:
        """Whoever serves somebody is reached through those above it."""
        for who, verdict in list(self._mercy.items()):
            if not isinstance(verdict, Spared) or (serving := self._serves(who)) is None:
                continue
            chain = self.cases[serving.id].chain
            for link in chain if not isinstance(chain, Unknown) else ():
                if link.id in self._mercy and self._mercy[link.id] is None:
                    self._again(replace(self.cases[link.id], needed_by=serving), SECOND_LOOK)

    def _serves(self, who: ProcessId) -> Spared | None:
        asked = self._ask(self.cases[who], _SERVES)
        return asked if isinstance(asked, Spared) else None

    def _shelter(self) -> None:
        """Whatever hangs under one that stays, stays."""
        for who in self._condemned():
            case = self.cases[who]
            if (changed := self._under(case)) is not case:
                self._again(changed, FIRST_LOOK)

    def _under(self, case: Case) -> Case:
        by_pid = {who.pid: who for who in self.cases}
        for link in case.chain if not isinstance(case.chain, Unknown) else ():
            if (known := by_pid.get(link.id.pid)) is None:
                continue
            if known != link.id:
                return replace(case, chain=Unknown(f"who process {link.id.pid} above it is", "it is not whom we knew"))
            match self._mercy[known]:
                case Spared() as verdict:
                    return replace(case, shelter=verdict)
                case Absent():  # the chain was read before: it is another one by now
                    return replace(
                        case, chain=Unknown(f"what process {case.id.pid} hangs under", "it has just changed")
                    )
        return case


class Examiner:
    """Builds cases from the ledger and a fresh look, and has them judged.

    Args:
        ask: Asks guards whether they spare; by default all that it is given.
    """

    def __init__(
        self, ledger: Ledger, handles: Handles, policy: Callable[[], Policy], ourselves: Ourselves, ask: Ask = mercy
    ) -> None:
        self._ledger = ledger
        self._handles = handles
        self._policy = policy
        self._ourselves = ourselves
        self._ask = ask

    def left_by(self, record: Record) -> tuple[ProcessVerdict, ...]:
        """Judge everything that a session owns but its root."""
        return self._look_at(record).verdicts

    def verdict(self, who: ProcessId) -> ProcessVerdict:
        """Judge one process."""
        return judge(self.case(who))

    def case(self, who: ProcessId) -> Case:
        """All that is known of a process, whether it is in the ledger or not."""
        member = self._ledger.entry(who)
        record = self._ledger.record(member.owner) if member is not None else None
        if record is not None and record.death is not None and who != record.session.root:
            look = self._look_at(record)
        else:
            look = self._begin(record)
            look.add(self._case(who, member, record, look))
        case = look.cases[who]
        if case.surroundings is None and isinstance(case.facts, ProcessFacts) and case.facts.id == who:
            with contextlib.closing(Neighbourhood()) as neighbourhood:
                inside = [one.pid for one in look.cases]
                around = neighbourhood.around(who.pid, inside, case.session.input if case.session is not None else "")
            case = replace(case, surroundings=around)
        return case

    def _look_at(self, record: Record) -> _Look:
        look = self._begin(record)
        for member in self._ledger.members(record.session.key):
            look.add(self._case(member.id, member, record, look))
        look.judge()
        return look

    def _begin(self, record: Record | None) -> _Look:
        """A look with what holds for all of its cases, the wishes of the person among that: read once."""
        wishes, session = self._policy(), record.session if record is not None else None
        policy = KindPolicy() if session is None else wishes.of(session.kind, session.directory)
        return _Look(self._world(record, wishes), policy, session, self._ask)

    def _world(self, record: Record | None, wishes: Policy) -> World:
        roots = {r.session.root: r.session for r in self._ledger.sessions() if r.death is None}
        outer = self._ledger.record(record.session.outer) if record is not None else None
        if outer is not None and self._handles.ended(outer.session.root) is True:
            roots.pop(outer.session.root, None)  # its death has not been told yet: they died together
        for root, session in roots.items():
            if record is not None and self._is_inside(session, record.session.key):
                roots[root] = replace(session, outer=record.session.key)  # also when those between them are dead
        return World(self._ourselves, roots, self._ledger.manager_servers, wishes.protected, wishes.protected_programs)

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
            policy=look.policy,
            world=look.world,
            names=self._names(record),
            born=born_at(who) if member is not None and wants_birth(member) else None,
        )

    def _names(self, record: Record | None) -> tuple[str, ...]:
        """What a session is called, and those around it."""
        names: list[str] = []
        passed: set[str] = set()
        while record is not None and record.session.key not in passed:
            passed.add(record.session.key)
            names += record.session.names
            record = self._ledger.record(record.session.outer)
        return tuple(names)
