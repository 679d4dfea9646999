"""Ends everything that Sentinel knows of: wide, because a person sees the whole list and says yes to it.

Never what the command itself hangs on: its terminal, its ancestors, and the sessions in which
it runs; nor the agent, which may run in a pane, and what that hangs on. Each of the others is
judged once more at the signal; a yes overrides what speaks for living sessions, and no guard
that speaks for what would be destroyed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from msgspec import structs

from sentinel import instance
from sentinel.core.actions import Outcome, Result
from sentinel.core.consent import BY_A_YES_TO_ALL
from sentinel.core.facts import ProcessFacts, ProcessId, Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.ledger import Ledger
from sentinel.core.sentences import count
from sentinel.core.verdicts import Condemned, ProcessVerdict, Spared
from sentinel.doctor.sightings import Look
from sentinel.environments import notes
from sentinel.environments.ending import Ending, LookAround
from sentinel.environments.project import Project, known
from sentinel.environments.scene import Claim
from sentinel.environments.survey import survey
from sentinel.errors import ConfigError, SentinelError
from sentinel.observe import processes, tmux
from sentinel.paths import Paths

_ANSWER = 1.0
"""Seconds that a tmux server may take for an answer."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A process on the list."""

    facts: ProcessFacts
    why: str
    """Why it is on the list."""
    spared: str
    """Why it stays; empty for what a yes would end."""


class Nuke:
    """One look at everything, and its end.

    Raises:
        SentinelError: Nothing may be ended now.
    """

    def __init__(self, where: Paths, look_around: LookAround) -> None:
        self._where = where
        self._look = Look(os.getuid(), Ledger())
        self._own = frozenset(_chain(os.getppid()))
        self._agent = _agent(where)
        self._agents = frozenset(_chain(self._agent)) if self._agent else frozenset[int]()
        self.projects = tuple(_projects(where))
        ledger = Ledger()
        look_around(ledger)
        everyone = dict(self._known(where, ledger))
        self._near = {who: why for who, claim in everyone.items() if (why := self._belongs_to_us(claim.facts))}
        self._claims = {who: claim for who, claim in everyone.items() if who not in self._near}
        self._all = everyone
        roots = [one.session.root for one in ledger.sessions() if one.session.root in self._claims]
        self._ending = Ending(
            where,
            "nuke",
            look_around,
            claims=self._claims,
            roots=roots,
            overridden=lambda _: BY_A_YES_TO_ALL,
            protected=tuple(name for project in self.projects for name in project.wishes.protected),
        )
        if why := self._ending.forbidden():
            raise SentinelError(why)

    def sessions(self) -> Iterator[str]:
        """Every tmux session of every server: a line each."""
        for pid, facts in self._look.everyone.items():
            if facts.name != TMUX_SERVER:
                continue
            about = tmux.server_of(pid)
            label = about.label if not isinstance(about, Unknown) else "?"
            if isinstance(about, Unknown) or about.socket is None:
                yield f"tmux server {label} (pid {pid}): it has no socket to be asked through"
                continue
            found = asyncio.run(tmux.list_sessions(about.socket, _ANSWER))
            if isinstance(found, Unknown):
                yield f"tmux server {label} (pid {pid}): {found.why}"
                continue
            for session in found:
                here = ", here" * (pid in self._own)
                yield f"tmux session {session.name} on {label} (server pid {pid}{here}), {session.attached} attached"

    def listed(self) -> list[Listed]:
        """Everybody on the list, with why those stay who do."""
        verdicts = self._ending.judge()
        return [
            Listed(claim.facts, claim.evidence[0], self._near.get(who) or _why_spared(verdicts.get(who)))
            for who, claim in self._all.items()
        ]

    def end(self, shown: list[Listed], grace: float) -> Mapping[ProcessId, Outcome]:
        """End those of the list that a yes was said to, each judged once more.

        Raises:
            SentinelError: As at the list: nobody can tell which process the agent is by now.
        """
        agreed = {one.facts.id: one.facts for one in shown if not one.spared}
        agent = _agent(self._where)
        above = set(_chain(agent)) if agent else set()  # it may have been started since the list was shown
        stay = {who: facts for who, facts in agreed.items() if who.pid in above}
        outcomes = asyncio.run(self._ending.end(grace, only=agreed.keys() - stay))
        why = "Sentinel's agent runs under it by now"
        refused = {who: Outcome(str(who), Result.REFUSED, why, facts.name) for who, facts in stay.items()}
        return {**outcomes, **refused}

    # -- who they are ------------------------------------------------------------------

    def _known(self, where: Paths, ledger: Ledger) -> Iterator[tuple[ProcessId, Claim]]:
        found: dict[ProcessId, Claim] = {}
        for project in self.projects:
            for who, claim in survey(where, project).claims.items():
                found.setdefault(
                    who, Claim(claim.facts, (f"of project {project.name}", *claim.evidence), claim.managed)
                )
        for record in ledger.sessions():
            for member in record.members.values():
                facts = self._look.everyone.get(member.id.pid)
                if facts is not None and facts.id == member.id:
                    found.setdefault(facts.id, Claim(facts, (f"of {record.session.title}",), managed=True))
        for pid, facts in self._look.everyone.items():
            if facts.name == TMUX_SERVER:
                for below in self._look.below(pid):
                    said = "a tmux server" if below is facts else f"under tmux server {pid}"
                    found.setdefault(below.id, Claim(below, (said,), managed=True))
        yield from found.items()

    def _belongs_to_us(self, facts: ProcessFacts) -> str:
        """Whether this command hangs on it, or the agent: then why it stays, else empty."""
        if facts.id.pid == os.getpid() or facts.id.pid in self._own:
            return "this command runs under it"
        if facts.id.pid in self._agents:
            return "it is Sentinel's agent" if facts.id.pid == self._agent else "Sentinel's agent runs under it"
        us = self._look.everyone.get(os.getpid())
        if us is None:
            return "nobody can tell on which terminal this command runs"
        if facts.session == us.session or (us.terminal and facts.terminal == us.terminal):
            return "it is on the terminal of this command"
        return ""


def _why_spared(verdict: ProcessVerdict | None) -> str:
    match verdict:
        case Condemned():
            return ""
        case Spared(reason=reason):
            return reason
    return "it has ended"


def _agent(where: Paths) -> int:
    """The pid of the agent; 0 where none runs, or not among these processes (it is a container's).

    Raises:
        SentinelError: One may run, and nobody can tell which process it is.
    """
    agent = instance.look(where)
    if agent.condition in {instance.Condition.STOPPED, instance.Condition.CRASHED}:
        return 0
    if agent.pid is None or agent.start is None:
        why = agent.why or "it has not written that down"
        raise SentinelError(f"nobody can tell which process is Sentinel's agent, so nothing is ended: {why}")
    holder = processes.identify(agent.pid)
    if isinstance(holder, Unknown):
        raise SentinelError(f"nobody can tell whether Sentinel's agent is among these: {holder}")
    return agent.pid if holder == ProcessId(agent.pid, agent.start) else 0


def _chain(pid: int) -> Iterator[int]:
    """The pid, and what it hangs under."""
    chain = processes.chain(pid)
    if isinstance(chain, Unknown):
        raise SentinelError(str(chain))
    yield from (link.id.pid for link in chain)


def _projects(where: Paths) -> Iterator[Project]:
    """Every project that was started here, and is still there.

    With a broken Procfile, or with patterns that take too long, it is taken as far as it is known without.
    """
    for note in notes.every(where):
        if os.path.isdir(note.directory) and (project := known(note.directory)) is not None:
            try:
                survey(where, project)
            except ConfigError:
                project = replace(project, wishes=structs.replace(project.wishes, patterns=()))
            yield project


def number(shown: list[Listed]) -> str:
    """How many would be ended, and how many stay."""
    ending = sum(not one.spared for one in shown)
    staying = len(shown) - ending
    return f"{count(ending, 'process')} would be ended, {staying} {'stays' if staying == 1 else 'stay'}"
