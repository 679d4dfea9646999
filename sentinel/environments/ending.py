"""Ends processes that a person has asked to be ended, with the agent's own judgement and hand.

Whoever may be ended is entered into a ledger of its own, under a session whose root is this
very process, so that the examiner sees it together with those that would end with it. Which
guards the person's word overrides is said by `core/consent.py`; all others stand.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from sentinel.assembly import Core
from sentinel.bus import Bus
from sentinel.core.actions import Outcome, Result, Terminate
from sentinel.core.consent import mercy_beyond
from sentinel.core.events import CleanedUp
from sentinel.core.facts import Death, ProcessId
from sentinel.core.guards import Case, Guard
from sentinel.core.ledger import Ledger, Witness
from sentinel.core.plan import deepest_first
from sentinel.core.policy import Policy
from sentinel.core.rules.projects import home
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Absent, Condemned, Grade, ProcessVerdict, Spared
from sentinel.doctor.clearing import forbidden, untouched
from sentinel.environments.scene import Claim
from sentinel.errors import SentinelError
from sentinel.handlers.examiner import Examiner, find_ourselves
from sentinel.handlers.second_look import SecondLook, untold
from sentinel.journal import Journal
from sentinel.observe import processes
from sentinel.observe.handles import raise_descriptor_limit
from sentinel.observe.surroundings import cgroup_of
from sentinel.paths import Paths
from sentinel.reaper.staleness import Glimpse

LookAround = Callable[[Ledger], Core]
"""Enters what one look shows into a ledger, and gives what judges and acts by it."""
Overridden = Callable[[Claim], Collection[str]]
"""The ids of the guards that a person's word overrides for a claim."""


class Ending:
    """Judges and ends what is claimed, from one look at everything.

    Args:
        name: What the journal calls it: ``stop shop``.
        roots: Those of the claimed that are living sessions themselves, and end all the same.
        servers: tmux servers that Overmind made for the project.
        protected: Patterns of the kernel's names of programs that stay, beside those of the configuration.
    """

    def __init__(
        self,
        where: Paths,
        name: str,
        look_around: LookAround,
        *,
        claims: Mapping[ProcessId, Claim],
        roots: Collection[ProcessId],
        overridden: Overridden,
        servers: Collection[ProcessId] = (),
        protected: tuple[str, ...] = (),
    ) -> None:
        raise_descriptor_limit()
        self._claims = claims
        self._overridden = overridden
        self._protected = protected
        self._ledger = Ledger()
        self.core = look_around(self._ledger)
        self._bus = Bus(Journal(where.journal, processes.boot_id()).record)
        self._examiner = Examiner(self._ledger, self.core.handles, self.policy, find_ourselves(), self._ask)
        self.session = _session(name)
        self._ours = cgroup_of(os.getpid())
        self._homes = {who: cgroup_of(who.pid) for who in claims}
        self._enter(roots, servers)

    def policy(self) -> Policy:
        """The person's wishes, and the project's."""
        wishes = self.core.policy()
        return replace(wishes, protected_programs=(*wishes.protected_programs, *self._protected))

    def forbidden(self) -> str:
        """Why nothing may be ended or removed now, as a sentence; empty when it may.

        A person may pause Sentinel, or it may hold itself back, at any moment after they said yes.
        """
        return forbidden(self.policy())

    def judge(self) -> dict[ProcessId, ProcessVerdict]:
        """Judge all that is claimed, from a fresh look."""
        found: dict[ProcessId, ProcessVerdict] = {}
        for record in list(self._ledger.sessions()):
            if record.death is not None and any(member.id in self._claims for member in record.members.values()):
                found.update((one.id, one) for one in self._examiner.left_by(record) if one.id in self._claims)
        for who in self._claims:
            found.setdefault(who, self._examiner.verdict(who))
        return {who: self._with_evidence(verdict) for who, verdict in found.items()}

    async def end(self, grace: float, *, only: Collection[ProcessId] | None = None) -> dict[ProcessId, Outcome]:
        """End what is condemned, and say what became of each that was claimed.

        Args:
            grace: Seconds between SIGTERM and SIGKILL.
            only: Nobody else is touched.
        """
        began, looked = time.monotonic(), Glimpse()
        verdicts = [one for one in self.judge().values() if only is None or one.id in only]
        outcomes = {one.id: untouched(one) for one in verdicts if not isinstance(one, Condemned)}
        condemned = [one for one in verdicts if isinstance(one, Condemned)]
        if why := self.forbidden():
            outcomes |= {one.id: Outcome(str(one.id), Result.HELD, why, one.facts.name) for one in condemned}
            condemned = []
        if condemned:
            action = Terminate(self.session, deepest_first(condemned), grace)
            strike = self.core.signaller.strike(action, 0, looked)
            done = await self.core.signaller.finish(strike, self.look_again)
            outcomes.update((target.id, outcome) for target, outcome in zip(action.targets, done, strict=True))
        if told := tuple(one for one in outcomes.values() if one.result is not Result.GONE):
            self._bus.publish(CleanedUp(self.session, told, time.monotonic() - began))
        return outcomes

    def tell(self, session: Session, outcomes: tuple[Outcome, ...], duration: float = 0.0) -> None:
        """Have the journal write down what became of files, or of whom somebody else ended in ``duration`` seconds."""
        self._bus.publish(CleanedUp(session, outcomes, duration))

    def look_again(self) -> SecondLook:
        """The judgement before SIGKILL, and before a SIGTERM that was held up."""
        return SecondLook(self.forbidden, lambda: self.judge().values(), untold)

    def _ask(self, case: Case, guards: tuple[Guard, ...]) -> Spared | Absent | None:
        claim = self._claims.get(case.id)
        if claim is None:
            return mercy_beyond(case, guards, ())
        if case.session is not None and case.session.root == self.session.root:
            # No session bore it here: whoever stands where it stood at first was not moved there.
            case = replace(
                case,
                session=replace(case.session, cgroup=home(self._homes[case.id], self._ours, managed=claim.managed)),
            )
        return mercy_beyond(case, guards, self._overridden(claim))

    def _with_evidence(self, verdict: ProcessVerdict) -> ProcessVerdict:
        claim = self._claims[verdict.id]
        if isinstance(verdict, Condemned):
            grade = Grade.PROVEN if claim.managed else Grade.STRONG
            return replace(verdict, evidence=claim.evidence, grade=grade)
        return verdict

    def _enter(self, roots: Collection[ProcessId], servers: Collection[ProcessId]) -> None:
        """Have the ledger hold them as what this very process left, unless a session that ends does."""
        now = time.monotonic()
        self._ledger.open(self.session, now)
        for who in roots:
            if self._ledger.entry(who) is not None:
                self._ledger.exited(who.pid, Death(now))
        for who in self._claims:
            self.core.handles.take(who.pid)
            member = self._ledger.enter(who, self.session.root.pid, now, Witness.WORD)
            if member is not None and who in servers and not member.manager_server:
                self._ledger.manages(member)
        self._ledger.exited(self.session.root.pid, Death(time.monotonic()))


def _session(name: str) -> Session:
    """A session for those whom a person wants ended. Its root is this process."""
    who = processes.identify(os.getpid())
    if not isinstance(who, ProcessId):
        raise SentinelError("nobody can tell which process this is")
    return Session(Kind.RUN, name, who, born=time.time())
