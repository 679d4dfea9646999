"""Reads a scene of ``tests/corpus`` and plays it: a little kernel, and the ledger that is told.

The kernel here does what Linux does at fork, exec, setsid and exit, as far as the judge can
see it; no more. The format is told in ``tests/corpus/README.md``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sentinel.core.facts import Above, Death, ProcessFacts, ProcessId, Stdio, Surroundings, Unknown
from sentinel.core.guards import Case, Ourselves, World
from sentinel.core.judge import judge
from sentinel.core.ledger import Ledger
from sentinel.core.policy import KindPolicy, Policy
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Spared

US, UID = 50, 1000
STEP = 0.01
TERMINAL = 34816
BIRTH = re.compile(r"(?P<pid>\d+) < (?P<parent>\d+)  +(?P<name>.*)")
LATER = re.compile(r"(?P<pid>\d+)  +(?P<clauses>.*)")
PAUSE = re.compile(r"(?P<seconds>[\d.]+) s later")
STDIO = {
    "nothing": Stdio(terminal=False, pipe=False),
    "terminal": Stdio(terminal=True, pipe=False),
    "pipe": Stdio(terminal=False, pipe=True),
}
UNSEEN = Unknown("what it is", "permission denied")


class Expected(NamedTuple):
    line: int
    pid: int
    verdict: str
    reason: str


class SceneError(Exception):
    pass


@dataclass
class Seen:
    """A living process, and what a look at it shows beyond its facts."""

    facts: ProcessFacts
    stdio: Stdio = STDIO["nothing"]
    subreaper: bool = False
    unseen: bool = False
    children: list[int] = field(default_factory=list)


class Scene:
    """Play a text line by line; afterwards ``verdict`` tells how a process is judged."""

    def __init__(self, text: str) -> None:
        self.ledger = Ledger()
        self.expected: list[Expected] = []
        self._living: dict[int, Seen] = {}
        self._now, self._ticks = 1000.0, 100
        self._ourselves = Ourselves(US, US, UID, frozenset())
        for number, line in enumerate(text.splitlines(), 1):
            told, _, hope = line.partition("|")
            if told.strip() and not told.lstrip().startswith("#"):
                try:
                    self._play(told.strip(), hope.strip(), number)
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    raise SceneError(f"line {number}: {line.strip()!r}: {error!r}") from error

    def verdict(self, pid: int) -> str:
        """The id of the guard that spares a living process, or ``condemned``."""
        found = judge(self._case(pid))
        return found.guard if isinstance(found, Spared) else type(found).__name__.lower()

    # -- reading -------------------------------------------------------------------

    def _play(self, told: str, hope: str, number: int) -> None:
        self._now += STEP
        self._ticks += 1
        if (pause := PAUSE.fullmatch(told)) is not None:
            self._now += float(pause["seconds"])
            return
        if (birth := BIRTH.fullmatch(told)) is not None:
            pid, (name, *clauses) = int(birth["pid"]), birth["name"].split(", ")
            self._fork(pid, int(birth["parent"]), name)
        elif (later := LATER.fullmatch(told)) is not None:
            pid, clauses = int(later["pid"]), later["clauses"].split(", ")
        else:
            raise ValueError("neither a birth, nor what became of one, nor a pause")
        for clause in clauses:
            self._happen(pid, *clause.split())
        if hope:
            verdict, _, reason = hope.partition(": ")
            if not reason:
                raise ValueError("an expectation wants its reason")
            self.expected.append(Expected(number, pid, verdict.strip(), reason.strip()))

    def _happen(self, pid: int, verb: str, *said: str) -> None:
        ways = {
            "session": self._open,
            "command": self._command,
            "runs": self._run,
            "setsid": self._setsid,
            "exits": lambda pid, code: self._end(pid, int(code) << 8),
            "killed": lambda pid, signal: self._end(pid, int(signal)),
            "ends": lambda pid: self._end(pid, None),
            "reused": self._reuse,
            "stdio": self._stdio,
            "terminal": lambda pid: self._see(pid, terminal=TERMINAL),
            "hangup": lambda pid, how: self._see(pid, **{f"hangup_{how}": True}),
            "stopped": lambda pid: self._see(pid, state="T"),
            "traced": lambda pid: self._see(pid, tracer=1),
            "uid": lambda pid, uid: self._see(pid, uid=int(uid)),
            "container": lambda pid: self._see(pid, foreign_namespace=True),
            "unseen": lambda pid: setattr(self._living[pid], "unseen", True),
            "subreaper": lambda pid: setattr(self._living[pid], "subreaper", True),
            "overmind's": lambda pid: self.ledger.manages(self.ledger.member(pid)),
            "sentinel": self._be_us,
        }
        ways[verb](pid, *said)

    # -- the little kernel ---------------------------------------------------------

    def _fork(self, pid: int, parent: int, name: str) -> None:
        if pid in self._living:
            raise ValueError("there is such a process")
        who, above = ProcessId(pid, self._ticks), self._living.get(parent)
        if above is None:
            born = Seen(ProcessFacts(who, parent, pid, pid, 0, "S", name, UID))
        else:
            caught = above.facts.hangup_caught and name == above.facts.name
            inherited = replace(
                above.facts, id=who, parent=parent, name=name, state="S", tracer=0, hangup_caught=caught
            )
            born = Seen(inherited, above.stdio)
            above.children.append(pid)
        self._living[pid] = born
        self.ledger.enter(who, parent, self._now)
        if above is not None and name != above.facts.name:
            self.ledger.executed(pid)

    def _run(self, pid: int, *name: str) -> None:
        self._see(pid, name=" ".join(name), hangup_caught=False)
        self.ledger.executed(pid)

    def _setsid(self, pid: int) -> None:
        self._see(pid, session=pid, group=pid, terminal=0)

    def _stdio(self, pid: int, where: str) -> None:
        self._living[pid].stdio = STDIO[where]

    def _see(self, pid: int, **changes: object) -> None:
        self._living[pid].facts = replace(self._living[pid].facts, **changes)

    def _end(self, pid: int, status: int | None) -> None:
        heir = self._reaper_above(pid)
        gone = self._living.pop(pid)
        for child in gone.children:
            if child in self._living:
                self._see(child, parent=heir)
                if heir in self._living:
                    self._living[heir].children.append(child)
        self.ledger.exited(pid, Death(self._now, status))

    def _reaper_above(self, pid: int) -> int:
        above = self._living.get(self._living[pid].facts.parent)
        while above is not None and not above.subreaper:
            above = self._living.get(above.facts.parent)
        return 1 if above is None else above.facts.id.pid

    def _reuse(self, pid: int, *name: str) -> None:
        """Its end was lost, and a stranger has its number."""
        facts = ProcessFacts(ProcessId(pid, self._ticks), 1, pid, pid, 0, "S", " ".join(name), UID)
        self._living[pid] = Seen(facts)

    # -- who watches ---------------------------------------------------------------

    def _open(self, pid: int, kind: str, *name: str) -> None:
        facts, member = self._living[pid].facts, self.ledger.member(pid)
        outer = member.owner if member is not None else ""
        session = Session(Kind(kind), " ".join(name) or kind, facts.id, outer=outer, sid=facts.session)
        self.ledger.open(session, self._now)

    def _command(self, pid: int) -> None:
        wrapper = self.ledger.rooted_at(self._living[pid].facts.parent)
        self.ledger.amend(replace(wrapper, command=pid))

    def _be_us(self, pid: int) -> None:
        ancestors = frozenset(link.id.pid for link in self._above(self._living[pid].facts.parent))
        self._ourselves = Ourselves(pid, self._living[pid].facts.group, UID, ancestors)

    def _above(self, pid: int) -> tuple[Above, ...]:
        chain = []
        while (seen := self._living.get(pid)) is not None:
            chain.append(Above(seen.facts.id, seen.facts.parent, seen.facts.name))
            pid = seen.facts.parent
        return tuple(chain)

    def _case(self, pid: int) -> Case:
        case = self._alone(pid)
        if not isinstance(case.death, Death):
            return case
        for link in case.chain:
            bearer = self.ledger.member(link.id.pid)
            if bearer is None or bearer.id != link.id or bearer.owner != case.session.key:
                continue
            if isinstance(verdict := judge(self._alone(link.id.pid)), Spared):
                return replace(case, shelter=verdict)
        return case

    def _alone(self, pid: int) -> Case:
        member, seen = self.ledger.member(pid), self._living[pid]
        record = self.ledger.record(member.owner) if member is not None else None
        roots = {r.session.root: r.session for r in self.ledger.sessions() if r.death is None}
        return Case(
            id=member.id if member is not None else seen.facts.id,
            member=member,
            session=record.session if record is not None else None,
            death=record.death if record is not None else None,
            facts=UNSEEN if seen.unseen else seen.facts,
            stdio=seen.stdio,
            chain=self._above(seen.facts.parent),
            policy=KindPolicy() if record is None else Policy().of(record.session.kind),
            world=World(self._ourselves, roots, self.ledger.manager_servers),
            surroundings=Surroundings(),
        )
