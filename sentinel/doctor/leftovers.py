"""Who was left behind: candidates, each with its grade, and what the guards say of them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from sentinel import ledgerfile
from sentinel.app import Core
from sentinel.core import snapshot
from sentinel.core.candidates import Candidate, grade
from sentinel.core.consent import judge_with_consent
from sentinel.core.facts import Death, ProcessFacts, ProcessId, Unknown
from sentinel.core.judge import evidence
from sentinel.core.ledger import Ledger, Witness
from sentinel.core.sessions import Kind, Session
from sentinel.core.snapshot import Saved
from sentinel.core.verdicts import Absent, Condemned, Grade, ProcessVerdict, Spared
from sentinel.doctor.ruins import overminds_ruins
from sentinel.doctor.sightings import Look, age
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.observe import processes
from sentinel.paths import Paths

_NOT_LEFT_BEHIND = frozenset({"ourselves", "owner-alive", "living-session", "tmux-server", "live-pane", "adopted"})
"""Guards that say that somebody is at work there: nothing that was left behind."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a person asks about. Without anything: everybody who was left behind."""

    pids: tuple[int, ...] = ()
    pattern: re.Pattern[str] | None = None
    """What its command line must have in it."""
    older_than: float = 0.0
    """Seconds."""
    project: str = ""
    """The directory in which, or below which, it must work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A process that may have been left behind, and what may be done about it."""

    candidate: Candidate
    verdict: Condemned | Spared
    command: str
    """Its command line, as it is: to be cleaned before it is shown."""
    directory: str
    age: float
    """Seconds."""
    memory: int
    """Bytes."""
    why_not: str = ""
    """Why it is only shown; empty for what is offered."""

    @property
    def target(self) -> Condemned | None:
        """What a yes would end; None for what is only shown."""
        return self.verdict if isinstance(self.verdict, Condemned) and not self.why_not else None


class Leftovers:
    """Finds and judges them, from one look.

    Args:
        core: What one look at everybody has brought into ``ledger``.
        agent_runs: Then it sees to what dies from now on.
    """

    def __init__(self, where: Paths, core: Core, ledger: Ledger, uid: int, *, agent_runs: bool) -> None:
        self._core = core
        self._ledger = ledger
        self._uid = uid
        saved = _saved(where)
        dead = [one for one in saved if one.death is not None or not (agent_runs or self._lives(one.session.root))]
        owned = {member.id for one in saved if one not in dead for member in one.members}
        self._records = snapshot.restore(ledger, dead, self._is_nobodys, time.monotonic())
        self.look = Look(uid, ledger, owned)
        self._owners = {one.session.root.pid: one.session.root for one in saved if one.death is not None}
        self.session = self._open_session()
        self.ended: list[Session] = []
        """Sessions of tmux servers that are offered: when these have ended, their sockets are nobody's."""
        self._named: frozenset[ProcessId] = frozenset()
        self._stay: set[int] = set()
        """Pids of those who are spared."""
        self._at_home: dict[ProcessId, str] = {}
        """Why those who were named and have a parent stay."""

    def find(self, asked: Asked) -> list[Finding]:
        """Everybody who was left behind and is asked about; those under others follow them.

        Raises:
            NoSuchThing: There is no process of a number that was named.
        """
        candidates = {found.id: found for found in self._proven()}
        sightings = self.look.sightings()
        for who, found in grade(sightings, self.look.surmise(sightings, self._owners)).items():
            candidates.setdefault(who, found)
        ruins = overminds_ruins(self.look, self._ledger, self._core.policy())
        for ruin in ruins.values():
            candidates.update((found.id, found) for found in ruin.candidates)
        if asked.pids:
            candidates = {found.id: found for found in self._named_ones(asked.pids, candidates)}
            self._named = frozenset(candidates)
        for found in candidates.values():
            self._enter(found, is_server=found.id in ruins)
        findings = list(self._judged(candidates, asked))
        self.ended = [ruins[one.candidate.id].session for one in findings if one.target and one.candidate.id in ruins]
        return findings

    def verdict(self, found: Candidate) -> ProcessVerdict:
        """Judge one of those who were found, from a fresh look; its parent before it."""
        verdict = self._decided(found)
        if isinstance(verdict, Spared):
            self._stay.add(found.id.pid)
        return verdict

    # -- who they are ------------------------------------------------------------------

    def _proven(self) -> Iterator[Candidate]:
        """What the agent's own ledger says that dead sessions left."""
        for record in self._records:
            for member in record.members.values():
                case = self._core.examiner.case(member.id)
                if isinstance(case.facts, ProcessFacts):
                    yield Candidate(case.facts, Grade.PROVEN, evidence(case))

    def _named_ones(self, pids: Iterable[int], known: dict[ProcessId, Candidate]) -> Iterator[Candidate]:
        trees = {pid: self.look.below(pid) for pid in pids}
        everybody = {facts.id.pid for tree in trees.values() for facts in tree}
        for pid, tree in trees.items():
            if not tree:
                raise NoSuchThing(f"there is no process {pid} of yours")
            for facts in tree:
                top = facts.id.pid == pid
                said = "you named it" if top else f"it hangs under process {facts.parent}, and you named process {pid}"
                if top and facts.parent not in everybody and not self.look.is_lost(facts):
                    self._at_home[facts.id] = f"its parent, process {facts.parent}, lives: it was not left behind"
                found = known.get(facts.id, Candidate(facts, Grade.WEAK, ()))
                yield replace(found, evidence=(said, *found.evidence))

    # -- what may be done about them ---------------------------------------------------

    def _open_session(self) -> Session:
        """In the ledger, what a person says yes to is what this very process left."""
        who = processes.identify(os.getpid())
        if not isinstance(who, ProcessId):
            raise SentinelError("nobody can tell which process this is")
        session = Session(Kind.RUN, "clean", who, born=time.time())
        self._ledger.open(session, time.monotonic())
        return session

    def _enter(self, found: Candidate, *, is_server: bool) -> None:
        """Have the ledger hold it for the judge, unless a session does."""
        if self._is_dead_agent(found):
            self._ledger.exited(found.id.pid, Death(time.monotonic()))
        self._core.handles.take(found.id.pid)
        member = self._ledger.enter(found.id, self.session.root.pid, time.monotonic(), Witness.WORD)
        if is_server and member is not None and (found.grade is not Grade.WEAK or found.id in self._named):
            self._ledger.manages(member)

    def _is_dead_agent(self, found: Candidate) -> bool:
        """Whether it is a coding agent that nobody is above, and counts as dead."""
        seen = self.look.orphaned_agents.get(found.id.pid)
        named = found.id in self._named
        return seen is not None and seen.id == found.id and (named or found.grade is not Grade.WEAK)

    def _judged(self, candidates: dict[ProcessId, Candidate], asked: Asked) -> Iterator[Finding]:
        """Parents before their children: what hangs under one that stays, stays."""
        self._ledger.exited(self.session.root.pid, Death(time.monotonic()))
        for found in parents_first(candidates.values()):
            verdict = self.verdict(found)
            if isinstance(verdict, Spared) and verdict.guard in _NOT_LEFT_BEHIND and not asked.pids:
                continue
            if not isinstance(verdict, Absent) and (finding := _finding(found, verdict, asked)) is not None:
                yield finding

    def _decided(self, found: Candidate) -> ProcessVerdict:
        verdict = judge_with_consent(self._core.examiner.case(found.id), named=found.id in self._named)
        if not isinstance(verdict, Condemned):
            return verdict
        if (why := self._at_home.get(found.id)) is not None:
            return Spared(found.id, "not-left-behind", why, found.evidence, found.facts.name)
        if found.facts.parent in self._stay:
            why = f"it hangs under process {found.facts.parent}, which stays"
            return Spared(found.id, "sheltered", why, found.evidence, found.facts.name)
        return replace(verdict, grade=found.grade, evidence=found.evidence)

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


def parents_first(candidates: Collection[Candidate]) -> list[Candidate]:
    """In an order in which each can be judged."""
    parents = {found.id.pid: found.facts.parent for found in candidates}

    def depth(found: Candidate) -> int:
        steps, pid = 0, found.facts.parent
        while pid in parents and steps <= len(parents):  # the bound ends a circle, which a torn look may show
            steps, pid = steps + 1, parents[pid]
        return steps

    return sorted(candidates, key=lambda found: (depth(found), found.id.start, found.id.pid))


def _finding(found: Candidate, verdict: Condemned | Spared, asked: Asked) -> Finding | None:
    """What is shown of it; None when it is not asked about."""
    pid, old = found.id.pid, age(found.id)
    directory, command = processes.working_directory(pid), _command(found)
    if not asked.pids:
        if old < asked.older_than or (asked.project and not _is_in(directory, asked.project)):
            return None
        if asked.pattern is not None and not asked.pattern.search(command):
            return None
    why_not = verdict.reason if isinstance(verdict, Spared) else _reserve(found, asked)
    return Finding(found, verdict, command, directory, old, processes.memory(pid), why_not)


def _reserve(found: Candidate, asked: Asked) -> str:
    """Why it is not offered, though no guard speaks for it."""
    if found.grade is not Grade.WEAK or asked.pids:
        return ""
    if found.doubts:
        return found.doubts[0]
    return "" if asked.pattern is not None else "nothing but this speaks for its having been left behind"


def _command(found: Candidate) -> str:
    program = processes.program(found.id.pid)
    return " ".join(program[1]) if isinstance(program, tuple) and program[1] else found.facts.name


def _is_in(directory: str, project: str) -> bool:
    return directory == project or directory.startswith(project.rstrip("/") + "/")
