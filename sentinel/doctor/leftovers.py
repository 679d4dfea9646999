"""Who was left behind: candidates, each with its grade, and what the guards say of them."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from sentinel import ledgerfile
from sentinel.assembly import Core
from sentinel.core import snapshot
from sentinel.core.candidates import Candidate, grade
from sentinel.core.consent import mercy_after_a_yes
from sentinel.core.facts import Death, ProcessFacts, ProcessId, Unknown
from sentinel.core.guards import Case, Guard
from sentinel.core.judge import evidence
from sentinel.core.ledger import Ledger, Record, Witness
from sentinel.core.sessions import Kind, Session
from sentinel.core.snapshot import Saved
from sentinel.core.verdicts import Absent, Condemned, Grade, ProcessVerdict, Spared
from sentinel.doctor.findings import Asked, Finding, Portrait
from sentinel.doctor.ruins import Ruin, overminds_ruins
from sentinel.doctor.sightings import Look
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.handlers.examiner import Examiner, find_ourselves
from sentinel.observe import processes
from sentinel.paths import Paths

_AT_WORK = frozenset({"owner-alive", "living-session", "tmux-server", "live-pane", "adopted"})
"""Guards that say that somebody is at work there: nothing that was left behind."""

Candidates = dict[ProcessId, Candidate]


class Leftovers:
    """Finds and judges them, from one look.

    Whoever may be ended is entered into the ledger, so that the examiner sees it with the
    others that would end together with it: what works for one of those works for nobody.

    Args:
        core: What one look at everybody has brought into ``ledger``.
        agent_runs: Then it sees to what dies from now on.
    """

    def __init__(self, where: Paths, core: Core, ledger: Ledger, uid: int, *, agent_runs: bool) -> None:
        self._core = core
        self._ledger = ledger
        self._uid = uid
        self._us = find_ourselves()
        self._examiner = Examiner(ledger, core.handles, core.policy, self._us, self._ask)
        saved = _saved(where)
        dead = [one for one in saved if one.death is not None or not (agent_runs or self._lives(one.session.root))]
        self._owned = {member.id: one.session.title for one in saved if one not in dead for member in one.members}
        self._records = snapshot.restore(ledger, dead, self._is_nobodys, time.monotonic())
        self.look = Look(uid, ledger, self._owned)
        self._owners = {one.session.root.pid: one.session.root for one in dead}
        self.session = _open_session(ledger)
        self.ended: list[Session] = []
        """Sessions of tmux servers that are offered: when these have ended, their sockets are nobody's."""
        self.named_above: list[int] = []
        """Numbers that were named and that this very command runs under: they stay, and are on no list."""
        self._named: frozenset[ProcessId] = frozenset()
        self._chosen: Candidates = {}

    def find(self, asked: Asked) -> list[Finding]:
        """Everybody who was left behind and is asked about, but for us and what we run under. To be asked once.

        Raises:
            NoSuchThing: There is no process of a number that was named.
        """
        candidates, ruins = self._candidates()
        at_home: dict[ProcessId, str] = {}
        if asked.pids:
            candidates = self._named_ones(asked.pids, candidates, at_home)
            self._named = frozenset(candidates)
            self.named_above = [pid for pid in asked.pids if pid == self._us.pid or pid in self._us.ancestors]
        portraits = {who: Portrait.of(found) for who, found in candidates.items()}
        shown = {who: found for who, found in candidates.items() if portraits[who].fits(asked)}
        reserves = {who: at_home.get(who) or asked.reserve(found) for who, found in candidates.items()}
        # Not only those who are asked about: somebody above one of those may be spared, and shelter it.
        self._enter([f for who, f in candidates.items() if not reserves[who] and (who in shown or f.is_strong)], ruins)
        verdicts = self.judge()
        self._choose(_condemned(verdicts, shown))
        verdicts |= self.judge()
        self._choose(_condemned(verdicts, shown))
        self.ended = [ruins[who].session for who in self._chosen if who in ruins]
        decided = [(found, verdicts.get(found.id) or _reserved(found, reserves[found.id])) for found in shown.values()]
        return [
            Finding(found, portraits[found.id], verdict)
            for found, verdict in decided
            if not (isinstance(verdict, Absent) or self._is_us(found.facts))
            and (asked.pids or not _is_at_work(verdict))
        ]

    def judge(self) -> dict[ProcessId, ProcessVerdict]:
        """Judge those who are offered, or may be, from a fresh look at all of them."""
        self._heed_wishes()
        verdicts: dict[ProcessId, ProcessVerdict] = {}
        for record in self._records_of(self._chosen):
            verdicts.update((verdict.id, verdict) for verdict in self._examiner.left_by(record))
        decided: dict[ProcessId, ProcessVerdict] = {}
        stay: set[int] = set()
        for found in _parents_first(self._chosen.values()):
            verdict = verdicts.get(found.id) or self._examiner.verdict(found.id)
            if isinstance(verdict, Condemned) and found.facts.parent in stay:
                why = f"it hangs under process {found.facts.parent}, which stays"
                verdict = Spared(found.id, "sheltered", why, found.evidence, found.facts.name)
            if isinstance(verdict, Spared):
                stay.add(found.id.pid)
            elif isinstance(verdict, Condemned):
                verdict = replace(verdict, grade=found.grade, evidence=found.evidence)
            decided[found.id] = verdict
        return decided

    def _is_us(self, facts: ProcessFacts) -> bool:
        """Whether the guard ``ourselves`` would spare it: it is not asked where one before it has spoken."""
        us = self._us
        return facts.id.pid == us.pid or facts.id.pid in us.ancestors or facts.group == us.group

    def _heed_wishes(self) -> None:
        """Have the ledger know who is to be kept as of now: what an agent has saved of that is seconds old."""
        self._core.keeping.apply()
        wanted = self._ledger.wanted
        for member in [member for record in self._ledger.sessions() for member in record.members.values()]:
            chain = processes.chain(member.id.pid)
            if not member.kept and isinstance(chain, tuple) and any(link.id in wanted for link in chain):
                self._ledger.keep(member)

    def _ask(self, case: Case, guards: tuple[Guard, ...]) -> Spared | Absent | None:
        return mercy_after_a_yes(case, guards, named=case.id in self._named)

    # -- who they are ------------------------------------------------------------------

    def _candidates(self) -> tuple[Candidates, Mapping[ProcessId, Ruin]]:
        """By the ledger, by their marks, and as ruins; who is proven by the ledger needs no other witness."""
        sightings = self.look.sightings()
        candidates = grade(sightings, self.look.surmise(sightings, self._owners))
        ruins = overminds_ruins(self.look, self._ledger, self._core.policy())
        for ruin in ruins.values():
            candidates.update((found.id, found) for found in ruin.candidates)
        candidates.update((found.id, found) for found in self._proven())
        return candidates, ruins

    def _proven(self) -> Iterator[Candidate]:
        """What the agent's own ledger says that dead sessions left."""
        for record in self._records:
            for member in record.members.values():
                case = self._core.examiner.case(member.id)
                if isinstance(case.facts, ProcessFacts):
                    yield Candidate(case.facts, Grade.PROVEN, evidence(case))

    def _named_ones(self, pids: Iterable[int], known: Candidates, at_home: dict[ProcessId, str]) -> Candidates:
        """Those of these numbers with all that they bore; ``at_home`` gets those with a parent or a living session."""
        trees = {pid: self.look.below(pid) for pid in pids}
        everybody = {facts.id.pid for tree in trees.values() for facts in tree}
        named: Candidates = {}
        for pid, tree in trees.items():
            if not tree:
                raise NoSuchThing(f"there is no process {pid} of yours")
            for facts in tree:
                top = facts.id.pid == pid
                said = "you named it" if top else f"it hangs under process {facts.parent}, and you named process {pid}"
                if facts.id in self._owned:
                    at_home[facts.id] = f"it is of {self._owned[facts.id]}, which lives: it was not left behind"
                elif top and facts.parent not in everybody and not self.look.is_lost(facts):
                    why = f"its parent, process {facts.parent}, lives: it was not left behind"
                    at_home.update((below.id, why) for below in tree)
                found = known.get(facts.id, Candidate(facts, Grade.WEAK, ()))
                named[facts.id] = replace(found, evidence=(said, *found.evidence))
        return named

    # -- what may be done about them ---------------------------------------------------

    def _enter(self, chosen: Collection[Candidate], ruins: Mapping[ProcessId, Ruin]) -> None:
        """Have the ledger hold them as what this very process left, unless a session does."""
        now = time.monotonic()
        for who in (found.id for found in chosen):
            seen = self.look.orphaned_agents.get(who.pid)
            if seen is not None and seen.id == who:
                self._ledger.exited(who.pid, Death(now))
            self._core.handles.take(who.pid)
            member = self._ledger.enter(who, self.session.root.pid, now, Witness.WORD)
            if member is not None and who in ruins:
                self._ledger.manages(member)
        self._ledger.exited(self.session.root.pid, Death(now))
        self._choose(chosen)

    def _choose(self, candidates: Collection[Candidate]) -> None:
        """Whoever else a dead session left lives on, may be whom one of these works for, and leaves the book."""
        self._chosen = {found.id: found for found in candidates}
        for record in self._records_of(self._chosen):
            for member in self._ledger.members(record.session.key):
                if member.id not in self._chosen:
                    self._ledger.exited(member.id.pid, Death(time.monotonic()))

    def _records_of(self, candidates: Candidates) -> list[Record]:
        """The dead sessions that own them."""
        owners = {member.owner for who in candidates if (member := self._ledger.entry(who)) is not None}
        records = [self._ledger.record(key) for key in sorted(owners)]
        return [record for record in records if record is not None and record.death is not None]

    # -- what the agent before knew ----------------------------------------------------

    def _lives(self, who: ProcessId) -> bool:
        """Nobody who can tell is not dead."""
        return self._core.handles.ended(who) is not True

    def _is_nobodys(self, who: ProcessId) -> bool | Unknown:
        """Whether a process that a dead session owned lives, and no living session has it now."""
        ended = self._core.handles.ended(who)
        if isinstance(ended, Unknown):
            return ended
        return not ended and who.pid not in self._ledger and processes.owner(who.pid) == self._uid


def _saved(where: Paths) -> tuple[Saved, ...]:
    try:
        return ledgerfile.read(where.ledger, processes.boot_id())
    except ledgerfile.Unusable:
        return ()  # who would be proven by it is found by other signs, or not at all


def _open_session(ledger: Ledger) -> Session:
    """A session for those to whose end a person says yes. Its root is this process."""
    who = processes.identify(os.getpid())
    if not isinstance(who, ProcessId):
        raise SentinelError("nobody can tell which process this is")
    session = Session(Kind.RUN, "clean", who, born=time.time())
    ledger.open(session, time.monotonic())
    return session


def _reserved(found: Candidate, why: str) -> Spared:
    return Spared(found.id, "reserve", why, found.evidence, found.facts.name)


def _condemned(verdicts: Mapping[ProcessId, ProcessVerdict], among: Candidates) -> list[Candidate]:
    return [found for who, found in among.items() if isinstance(verdicts.get(who), Condemned)]


def _is_at_work(verdict: ProcessVerdict) -> bool:
    return isinstance(verdict, Spared) and verdict.guard in _AT_WORK


def _parents_first(candidates: Collection[Candidate]) -> list[Candidate]:
    parents = {found.id.pid: found.facts.parent for found in candidates}

    def depth(found: Candidate) -> int:
        steps, pid = 0, found.facts.parent
        while pid in parents and steps <= len(parents):  # the bound ends a circle, which a torn look may show
            steps, pid = steps + 1, parents[pid]
        return steps

    return sorted(candidates, key=lambda found: (depth(found), found.id.start, found.id.pid))
