"""Answers what comes through the inbox: registrations, and questions of the command line."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sentinel import runs, wire
from sentinel.core.facts import Above
from sentinel.core.ledger import Ledger, Witness
from sentinel.core.policy import Policy
from sentinel.core.sessions import Kind, Session
from sentinel.errors import SentinelError
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.discovery import Discovery
from sentinel.handlers.examiner import Examiner
from sentinel.handlers.explanations import Explanations, session_as_data
from sentinel.handlers.leftovers import Leftovers
from sentinel.observe import processes


@dataclass(slots=True)
class Condition:
    """What ``sentinel status`` shows of the agent itself."""

    version: str
    source: str
    why_not_better: str = ""
    since: float = 0.0
    """Wall-clock seconds since the epoch."""
    cleaned: int = 0
    """Clean-ups since then."""


class Enquiries:
    """Answers requests. Called with the pid that the kernel gives for the sender."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        bookkeeper: Bookkeeper,
        discovery: Discovery,
        examiner: Examiner,
        leftovers: Leftovers,
        policy: Callable[[], Policy],
        condition: Condition,
        trouble: Callable[[], str],
        runtime: Path,
    ) -> None:
        self._ledger = ledger
        self._bookkeeper = bookkeeper
        self._discovery = discovery
        self._explanations = Explanations(ledger, examiner, leftovers, policy)
        self._policy = policy
        self._condition = condition
        self._trouble = trouble
        self._runtime = runtime

    def __call__(self, request: wire.Request, sender: int) -> object:
        """The data of the reply.

        Raises:
            SentinelError: The request cannot be granted, with the sentence to tell.
        """
        match request:
            case wire.Status():
                return self._status()
            case wire.Sessions():
                return [session_as_data(record) for record in self._ledger.sessions()]
            case wire.Explain(what=what):
                return self._explanations.explain(what)
            case wire.Register():
                return self._register(sender)
            case wire.Started():
                return self._started(sender)
            case wire.Leaving(pids=pids):
                return self._leaving(sender, pids)

    def _status(self) -> object:
        records = list(self._ledger.sessions())
        return {
            "version": self._condition.version,
            "source": self._condition.source,
            "why_not_better": self._condition.why_not_better,
            "since": self._condition.since,
            "mode": self._policy().mode,
            "sessions": sum(record.death is None for record in records),
            "dead": sum(record.death is not None for record in records),
            "processes": len(self._ledger),
            "cleaned": self._condition.cleaned,
            "trouble": self._trouble(),
        }

    # -- sentinel run ------------------------------------------------------------------

    def register_runs(self) -> None:
        """Open the sessions of all wrappers that left their mark, and forget the dead ones'."""
        for mark in list(runs.marks(self._runtime)):
            if mark.boot != processes.boot_id() or processes.identify(mark.pid) != mark.root:
                runs.erase(self._runtime, mark.pid)
            else:
                self._open(mark)

    def _register(self, sender: int) -> object:
        mark = self._mark_of(sender)
        return {"session": self._open(mark).key}

    def _mark_of(self, sender: int) -> runs.Mark:
        mark = runs.read(self._runtime, sender)
        if mark is None or mark.boot != processes.boot_id() or processes.identify(sender) != mark.root:
            raise SentinelError(f"process {sender} has not left the mark of a `sentinel run`")
        return mark

    def _open(self, mark: runs.Mark) -> Session:
        if (known := self._ledger.rooted_at(mark.pid)) is not None and known.root == mark.root:
            return known
        who = self._discovery.take(mark.pid)
        if who != mark.root:
            raise SentinelError(f"process {mark.pid} has ended, or is another user's")
        session = Session(Kind.RUN, mark.name, who, directory=mark.directory, command=mark.command)
        return self._discovery.open(session, "registered")

    def _started(self, sender: int) -> object:
        """The command's pid is in the mark by now."""
        mark = self._mark_of(sender)
        session = self._open(mark)
        self._ledger.amend(replace(session, command=mark.command))
        return {"session": session.key}

    def _leaving(self, sender: int, pids: list[int]) -> object:
        """Its command has ended. What hangs under the wrapper now was lost by the command."""
        session = self._open(self._mark_of(sender))
        for pid in pids:
            link = processes.above(pid)
            if pid in self._ledger or not isinstance(link, Above) or link.parent not in self._ledger:
                continue
            if self._discovery.take(pid) == link.id:
                self._bookkeeper.enter_seen(link.id, link.parent, time.monotonic(), Witness.CHILD)
        return {"session": session.key}
