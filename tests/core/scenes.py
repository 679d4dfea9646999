"""Reads a scene of ``tests/corpus`` and plays it: a little kernel, and the ledger that is told.

The kernel here does what Linux does at fork, exec, setsid and exit, as far as the judge can
see it; no more. The format is told in ``tests/corpus/README.md``.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from sentinel.core.facts import Above, Death, Departure, ProcessFacts, ProcessId, Surroundings
from sentinel.core.guards import GUARDS, SERVING, Case, Guard, Ourselves, World, wants_birth
from sentinel.core.judge import judge
from sentinel.core.ledger import Ledger, Member, Record, Witness
from sentinel.core.policy import KindPolicy, Policy
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Spared
from tests.core.seen import CLOSED, STDIO, UNSEEN, Seen, stopped_jobs

US, UID = 50, 1000
STEP = 0.01
TERMINAL = 34816
BIRTH = re.compile(r"(?P<pid>\d+) < (?P<parent>\d+)  +(?P<name>.*)")
LATER = re.compile(r"(?P<pid>\d+)  +(?P<clauses>.*)")
WISH = re.compile(r"protect\.programs = (?P<pattern>.+)")
PAUSE = re.compile(r"(?P<seconds>[\d.]+) s later")


class Expected(NamedTuple):
    line: int
    pid: int
    verdict: str
    reason: str


class SceneError(Exception):
    pass


class Scene:
    """Play a text line by line; afterwards ``verdict`` tells how a process is judged."""

    def __init__(self, text: str) -> None:
        self.ledger = Ledger()
        self.expected: list[Expected] = []
        self._living: dict[int, Seen] = {}
        self._now, self._ticks = 1000.0, 100
        self._ourselves = Ourselves(US, US, UID, frozenset())
        self._policy = Policy()
        for number, line in enumerate(text.splitlines(), 1):
            told, _, hope = line.partition("|")
            if told.strip() and not told.lstrip().startswith("#"):
                try:
                    self._play(told.strip(), hope.strip(), number)
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    raise SceneError(f"line {number}: {line.strip()!r}: {error!r}") from error

    def verdict(self, pid: int, without: str = "") -> str:
        """The id of the guard that spares a living process, or ``condemned``; if need be, one guard is taken out."""
        guards = tuple(guard for guard in GUARDS if guard.id != without)
        found = judge(self._case(pid, guards), guards)
        return found.guard if isinstance(found, Spared) else type(found).__name__.lower()

    # -- reading -------------------------------------------------------------------

    def _play(self, told: str, hope: str, number: int) -> None:
        self._now += STEP
        self._ticks += 1
        if (pause := PAUSE.fullmatch(told)) is not None:
            self._now += float(pause["seconds"])
            return
        if (wish := WISH.fullmatch(told)) is not None:
            self._policy = replace(self._policy, protected_programs=(wish["pattern"],))
            return
        if (birth := BIRTH.fullmatch(told)) is not None:
            pid, (name, *clauses) = int(birth["pid"]), birth["name"].split(", ")
            self._fork(pid, int(birth["parent"]), name)
        elif (later := LATER.fullmatch(told)) is not None:
            pid, clauses = int(later["pid"]), later["clauses"].split(", ")
        else:
            raise ValueError("neither a birth, nor what became of one, nor a pause, nor a wish")
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
            "job": lambda pid: self._see(pid, group=pid),
            "traced": lambda pid, _by, tracer: self._see(pid, tracer=int(tracer)),
            "kernel": lambda pid, _thread: self._see(pid, kernel_thread=True),
            "uid": lambda pid, uid: self._see(pid, uid=int(uid)),
            "container": lambda pid: self._see(pid, foreign_namespace=True),
            "unseen": lambda pid: setattr(self._living[pid], "unseen", True),
            "subreaper": lambda pid: setattr(self._living[pid], "subreaper", True),
            "program": lambda pid, path: self._stand(pid, program=path),
            "unit": lambda pid, unit: self._stand(pid, cgroup=f"/user.slice/user@1000.service/app.slice/{unit}"),
            "SENTINEL_KEEP=1": lambda pid: self._stand(pid, keep=True),
            "on": lambda pid, _screen: self._stand(pid, on_screen=True),
            "serves": lambda pid, *whom: self._stand(pid, clients=(" ".join(whom),)),
            "fed": lambda pid, _by, *whom: self._stand(pid, feeder=" ".join(whom)),
            "closed": lambda pid: setattr(self._living[pid], "closed", True),
            "kept": lambda pid: self.ledger.keep(self.ledger.member(pid)),
            "untold": lambda pid: self.ledger.doubt(self.ledger.member(pid)),
            "scope": self._claim_by_scope,
            "named": self._claim_by_name,
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
            born = Seen(ProcessFacts(who, parent, pid, pid, 0, "S", name, UID), born=self._now)
        else:
            caught = above.facts.hangup_caught and name == above.facts.name
            inherited = replace(
                above.facts, id=who, parent=parent, name=name, state="S", tracer=0, hangup_caught=caught
            )
            around = Surroundings(cgroup=above.around.cgroup, keep=above.around.keep)
            born = Seen(inherited, above.stdio, self._now, around)
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

    def _stand(self, pid: int, **changes: object) -> None:
        self._living[pid].around = replace(self._living[pid].around, **changes)

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
        session = replace(session, cgroup=self._living[pid].around.cgroup)
        self.ledger.open(session, self._now)

    def _claim_by_scope(self, pid: int, _of: str, root: str) -> None:
        """Nobody saw its birth, but it stands in the control group that was made for the session."""
        seen, session = self._living[pid], self._rooted_at(int(root))
        if self.ledger.claim(seen.facts.id, session.key, seen.born, Departure(self._now, None)) is None:
            raise ValueError("its birth was seen")

    def _claim_by_name(self, pid: int, _by: str, root: str) -> None:
        """The session says that it is a child of its own."""
        session = self._rooted_at(int(root))
        if (member := self.ledger.member(pid)) is not None:
            self.ledger.call_own(member, session.key)
        else:
            self.ledger.claim(self._living[pid].facts.id, session.key, self._now, None, Witness.CHILD)

    def _rooted_at(self, pid: int) -> Session:
        """The session of that root, dead or alive."""
        return {record.session.root.pid: record.session for record in self.ledger.sessions()}[pid]

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

    def _case(self, pid: int, guards: tuple[Guard, ...]) -> Case:
        case = self._alone(pid)
        if not isinstance(case.death, Death):
            return case
        for link in case.chain:
            bearer = self.ledger.member(link.id.pid)
            if bearer is None or bearer.id != link.id or bearer.owner != case.session.key:
                continue
            if isinstance(verdict := judge(self._alone(link.id.pid), guards), Spared):
                return replace(case, shelter=verdict)
        return case

    def _alone(self, pid: int) -> Case:
        member, seen = self.ledger.member(pid), self._living[pid]
        record = self.ledger.record(member.owner) if member is not None else None
        roots = {r.session.root: r.session for r in self.ledger.sessions() if r.death is None}
        wishes, servers = self._policy, self.ledger.manager_servers
        fellows = self._fellows(member)
        return Case(
            id=member.id if member is not None else seen.facts.id,
            member=member,
            session=record.session if record is not None else None,
            death=record.death if record is not None else None,
            facts=UNSEEN if seen.unseen else seen.facts,
            stdio=seen.stdio,
            chain=self._above(seen.facts.parent),
            policy=KindPolicy() if record is None else wishes.of(record.session.kind),
            world=World(self._ourselves, roots, servers, wishes.protected, wishes.protected_programs),
            names=self._names(record),
            born=seen.born if member is not None and wants_birth(member) else None,
            surroundings=CLOSED if seen.closed else seen.around,
            tracees=tuple(each.facts.id.pid for each in fellows if each.facts.tracer == pid),
            jobs=stopped_jobs(seen, fellows),
            needed_by=self._needed_by(pid, fellows),
        )

    def _fellows(self, member: Member | None) -> list[Seen]:
        """What its session owns, as far as it lives, itself among it."""
        owned = self.ledger.members(member.owner) if member is not None else []
        return [self._living[each.id.pid] for each in owned]

    def _names(self, record: Record | None) -> tuple[str, ...]:
        names: list[str] = []
        while record is not None:
            names.append(record.session.name)
            record = self.ledger.record(record.session.outer)
        return tuple(names)

    def _needed_by(self, pid: int, fellows: list[Seen]) -> Spared | None:
        for each in fellows:
            served = each.around.clients or each.around.feeder
            if served and any(link.id.pid == pid for link in self._above(each.facts.parent)):
                return Spared(each.facts.id, SERVING, "it serves somebody")
        return None
