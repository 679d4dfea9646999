"""What Sentinel knows of a thing and would do with it now, as sentences."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sentinel.core.facts import Death, Gone, ProcessFacts, ProcessId, Unknown
from sentinel.core.guards import GUARDS
from sentinel.core.judge import evidence, judge, objections
from sentinel.core.ledger import Ledger, Record
from sentinel.core.policy import KindPolicy, Mode, Policy
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count, how_it_died
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Absent, Condemned, Kept, Spared
from sentinel.errors import NoSuchThing
from sentinel.handlers.examiner import Examiner
from sentinel.handlers.leftovers import Leftovers
from sentinel.handlers.naming import is_pid, session_called, sessions_called
from sentinel.observe import processes
from sentinel.observe.files import look_at_directory

if TYPE_CHECKING:
    from sentinel.handlers.tmux_sessions import Inside

Data = dict[str, object]


class Explanations:
    """Explains pids, paths and sessions from a fresh look and the ledger."""

    def __init__(self, ledger: Ledger, examiner: Examiner, leftovers: Leftovers, policy: Callable[[], Policy]) -> None:
        self._ledger = ledger
        self._examiner = examiner
        self._leftovers = leftovers
        self._policy = policy

    def explain(self, what: str, inside_tmux: Callable[[str], list[Inside]] = lambda _: []) -> Data:
        """Explain one thing.

        Args:
            what: A pid, a path, or what a session is called.
            inside_tmux: Finds what tmux calls so; asked when no session of ours has that name.

        Raises:
            NoSuchThing: Nothing of that name is known or there.
        """
        if is_pid(what):
            return self.process(int(what))
        if "/" in what:
            return self.path(what)
        if not sessions_called(self._ledger, what) and (found := inside_tmux(what)):
            return self.inside_tmux(found)
        return self.session(session_called(self._ledger, what))

    def process(self, pid: int) -> Data:
        """What is known of a process, what speaks for and against ending it."""
        who = processes.identify(pid)
        if isinstance(who, Gone):
            raise NoSuchThing(f"there is no process {pid}")
        if isinstance(who, Unknown):
            raise NoSuchThing(str(who))
        case = self._examiner.case(who)
        verdict = judge(case)
        against = objections(case)
        speaking = {guard.id for guard, _ in against}
        name = case.facts.name if isinstance(case.facts, ProcessFacts) else "?"
        match verdict:
            case Condemned():
                would = _would_end(self._policy())
            case Spared(reason=reason):
                would = f"leave it alone: {clean(reason, 400)}"
            case Absent():
                would = "nothing: it has ended"
        return {
            "kind": "process",
            "what": f"process {pid} ({clean(name)})",
            "identity": str(who),
            "verdict": type(verdict).__name__.lower(),
            "would": would,
            "evidence": [clean(sentence, 400) for sentence in evidence(case)],
            "against": [{"guard": guard.id, "reason": clean(reason, 400)} for guard, reason in against],
            "silent": [{"guard": guard.id, "title": guard.title} for guard in GUARDS if guard.id not in speaking],
        }

    def session(self, record: Record) -> Data:
        """A session, what it owns, and what its death would mean for each of those."""
        members = [self._member(member.id) for member in self._ledger.members(record.session.key)]
        doomed = sum(member["verdict"] == "condemned" for member in members)
        return {
            "kind": "session",
            "what": clean(record.session.title),
            "would": _would_do(record, self._policy(), doomed),
            **session_as_data(record),
            "members": members,
        }

    def inside_tmux(self, found: list[Inside]) -> Data:
        """A session inside of a tmux server: its panes are what is watched.

        Raises:
            NoSuchThing: More than one server has one of that name.
        """
        inside = found[0]
        if len(found) > 1:
            servers = ", ".join(clean(one.server.id) for one in found)
            hint = "say which pane: sentinel sessions"
            raise NoSuchThing(f"several tmux servers have a session {clean(inside.name)}: {servers}; {hint}")
        policy = self._policy()
        wishes = [_at_a_death(policy.of(Kind.PANE, record.session.directory)) for record in inside.panes]
        each = f", and at the death of each {' or '.join(dict.fromkeys(wishes))}" if wishes else ""
        return {
            "kind": "tmux session",
            "what": f'session "{clean(inside.name)}" ({clean(inside.number)}) in {clean(inside.server.title)}',
            "would": f"watch its panes{each}",
            "server": clean(inside.server.id),
            "panes": [session_as_data(record) for record in inside.panes],
            "members": [self._member(one.id) for pane in inside.panes for one in pane.members.values()],
        }

    def _member(self, who: ProcessId) -> Data:
        case = self._examiner.case(who)
        verdict = judge(case)
        name = case.facts.name if isinstance(case.facts, ProcessFacts) else ""
        match verdict:
            case Spared():
                reason = f"left alone, {verdict.reason}"
            case Condemned():
                reason = "nothing speaks for it"
            case Absent():
                reason = "it has ended"
        return {
            "pid": who.pid,
            "name": clean(name),
            "verdict": type(verdict).__name__.lower(),
            "reason": clean(reason, 400),
        }

    def path(self, path: str) -> Data:
        """A socket or directory: whose it is, and whether it would be removed.

        Raises:
            NoSuchThing: It is nobody's, and not there.
        """
        for record in self._ledger.sessions():
            had = record.session.belongings
            if path not in had.directories and all(mark.path != path for mark in had.sockets):
                continue
            whose = f"it belongs to {record.session.title} ({record.session.key})"
            if record.death is None:
                return _path(path, whose, "leave it alone: its session is alive")
            for verdict in self._leftovers.verdicts(record.session):
                if verdict.path == path:
                    would = f"leave it alone: {verdict.reason}" if isinstance(verdict, Kept) else "remove it"
                    return _path(path, whose, would)
            return _path(path, whose, "nothing: it is not there any more")
        if isinstance(look_at_directory(path), Gone):
            raise NoSuchThing(f"there is no {clean(path, 400)}")
        return _path(path, "no session that Sentinel watches made it", "leave it alone: it is nobody's to remove")


def _path(path: str, whose: str, would: str) -> Data:
    what, would, whose = (clean(text, 400) for text in (path, would, whose))
    return {"kind": "path", "what": what, "would": would, "evidence": [whose], "against": []}


def _would_end(policy: Policy) -> str:
    if policy.held:
        return f"leave it alone: {clean(policy.held, 400)}; else end it"
    return "end it" if policy.mode is Mode.ACT else "end it, if the mode were act"


def _at_a_death(wishes: KindPolicy) -> str:
    return f"{wishes.survivors} what it leaves and {wishes.daemons} its daemons"


def _would_do(record: Record, policy: Policy, doomed: int) -> str:
    if record.death is None:
        wishes = policy.of(record.session.kind, record.session.directory)
        return f"watch it, and at its death {_at_a_death(wishes)}"
    died = how_it_died(record.death)
    if not record.settled:
        return f"go on cleaning up: it {died}"
    if doomed:
        left = count(doomed, "process")
        return f"nothing by itself: it {died}, and was judged then; `sentinel clean` offers {left} of what it left"
    return f"nothing more: it {died}, and what is left of it is spared"


def session_as_data(record: Record) -> Data:
    """A session as ``sentinel sessions --json`` shows it."""
    session: Session = record.session
    death: Death | None = record.death
    kept = sum(member.kept for member in record.members.values())
    return {
        "id": clean(session.id),
        "key": clean(session.key),
        "session_kind": session.kind,
        "name": clean(session.name),
        "title": clean(session.title),
        "pid": session.root.pid,
        "directory": clean(session.directory, 400),
        "outer": clean(session.outer),
        "born": session.born,
        "processes": len(record.members),
        "kept": 0 < kept == len(record.members),
        "kept_processes": kept,
        "alive": death is None,
        "death": "" if death is None else how_it_died(death),
        "dead_for": 0.0 if death is None else round(time.monotonic() - death.at, 3),
        "conversation": clean(session.conversation),
        "tasks": [clean(task) for task in session.tasks],
        "unattended": session.unattended,
        "files": [clean(mark.path, 400) for mark in session.belongings.sockets],
    }
