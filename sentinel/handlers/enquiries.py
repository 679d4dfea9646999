"""Answers what comes through the inbox: registrations, and questions of the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sentinel import wire
from sentinel.bus import Bus
from sentinel.core.actions import Result
from sentinel.core.events import CleanedUp, ConfigurationRead
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.handlers.agent_hooks import AgentHooks
from sentinel.handlers.explanations import Explanations, session_as_data
from sentinel.handlers.halting import Halting
from sentinel.handlers.keeping import Keeping
from sentinel.handlers.registrations import Registrations
from sentinel.handlers.run_sessions import RunSessions
from sentinel.handlers.tmux_sessions import TmuxSessions


@dataclass(slots=True)
class Condition:
    """What ``sentinel status`` shows of the agent itself."""

    version: str
    source: str
    why_not_better: str = ""
    since: float = 0.0
    """Wall-clock seconds since the epoch."""
    cleaned: int = 0
    """Clean-ups since then. What was only to be ended, while paused, is none."""
    safe: str = ""
    """Why it is in safe mode; empty when it is not."""
    refused: str = ""
    """Why the configuration as it is now was refused; empty when it was not."""

    def follow(self, bus: Bus) -> None:
        """Keep up with what happens to the agent."""
        bus.subscribe(CleanedUp, self._count)
        bus.subscribe(ConfigurationRead, self._refuse)

    def _count(self, event: CleanedUp) -> None:
        self.cleaned += any(outcome.result is not Result.HELD for outcome in event.outcomes)

    def _refuse(self, event: ConfigurationRead) -> None:
        self.refused = event.trouble


class Enquiries:
    """Answers requests. Called with the pid that the kernel gives for the sender."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        tmux: TmuxSessions,
        runs: RunSessions,
        registered: Registrations,
        hooks: AgentHooks,
        explanations: Explanations,
        halting: Halting,
        keeping: Keeping,
        policy: Callable[[], Policy],
        condition: Condition,
        trouble: Callable[[], str],
        unwatched: Callable[[], str],
    ) -> None:
        self._ledger = ledger
        self._tmux = tmux
        self._runs = runs
        self._registered = registered
        self._hooks = hooks
        self._explanations = explanations
        self._halting = halting
        self._keeping = keeping
        self._policy = policy
        self._condition = condition
        self._trouble = trouble
        self._unwatched = unwatched

    def __call__(self, request: wire.Request, sender: int) -> object:
        """The data of the reply.

        Raises:
            SentinelError: The request cannot be granted, with the sentence to tell.
        """
        match request:
            case wire.Status():
                return self._status()
            case wire.Sessions():
                records = self._ledger.sessions()
                return [{**session_as_data(record), **self._tmux.about(record.session)} for record in records]
            case wire.Explain(what=what):
                return self._explanations.explain(what, self._tmux.called)
            case wire.Pause(until=until):
                return self._halting.pause(until)
            case wire.Resume():
                return {**self._halting.resume(), "mode": self._policy().mode}
            case wire.Keep(what=what, off=off):
                return self._keeping.release(what) if off else self._keeping.keep(what)
            case _:
                return self._word(request, sender)

    def _word(
        self, request: wire.Register | wire.Started | wire.Leaving | wire.Enlisted | wire.Hook, sender: int
    ) -> object:
        """Answer who tells something of himself, and asks nothing."""
        match request:
            case wire.Register():
                return {"session": self._runs.register(sender).key}
            case wire.Started():
                return {"session": self._runs.started(sender).key}
            case wire.Leaving(pids=pids):
                return {"session": self._runs.leaving(sender, pids).key}
            case wire.Enlisted(session=name):
                return self._registered.enlisted(name)
            case wire.Hook(call=call):
                session = self._hooks.hear(call, sender)
                return {"session": session.key if session is not None else ""}

    def _status(self) -> object:
        records = list(self._ledger.sessions())
        return {
            "version": self._condition.version,
            "source": self._condition.source,
            "why_not_better": self._condition.why_not_better,
            "since": self._condition.since,
            "mode": self._policy().mode,
            **self._halting.state(),
            "sessions": sum(record.death is None for record in records),
            "dead": sum(record.death is not None for record in records),
            "processes": len(self._ledger),
            "cleaned": self._condition.cleaned,
            "trouble": self._trouble(),
            "unwatched": self._unwatched(),
            "safe": self._condition.safe,
            "refused": self._condition.refused,
        }
