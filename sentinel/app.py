"""The only wiring: sources, bus, handlers and reaper, tied together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Awaitable, Callable

from sentinel import __version__
from sentinel.assembly import build
from sentinel.bus import Bus
from sentinel.config import Config
from sentinel.core.events import (
    RECORDED,
    AgentStarted,
    AgentStopped,
    CleanedUp,
    Event,
    EventsLost,
    SourceDegraded,
    TmuxHinted,
    Woke,
)
from sentinel.core.ledger import Ledger
from sentinel.handlers.abandoned import abandoned
from sentinel.handlers.enquiries import Condition, Enquiries
from sentinel.handlers.residence import Residence
from sentinel.handlers.sockets import SocketKeeper
from sentinel.handlers.tell import Tell
from sentinel.instance import Claim
from sentinel.journal import Journal
from sentinel.notify import Notifier
from sentinel.observe import processes
from sentinel.observe.handles import raise_descriptor_limit
from sentinel.paths import Paths
from sentinel.reaper import removals
from sentinel.sources.choice import ProcessSource, open_source
from sentinel.sources.clock import Clock
from sentinel.sources.files import FileSource
from sentinel.sources.hints import HintSource
from sentinel.sources.inbox import Inbox

_FAREWELL = 1.5
"""Seconds that clean-ups under way get when the agent is told to stop. Their intents are in the
journal: what is not through by then is left, and the journal shows it."""


class Agent:
    """The per-user agent: made, run until it is told to stop, and done.

    Args:
        echo: Called with each recorded event, after everybody has answered it.
    """

    def __init__(self, config: Config, paths: Paths, claim: Claim, echo: Callable[[Event], None] | None = None) -> None:
        self._config = config
        self._paths = paths
        self._claim = claim
        self._echo = echo
        self._stopped = asyncio.Event()
        self._why = ""

    def stop(self, why: str) -> None:
        """Have ``run`` come to its end."""
        self._why = why
        self._stopped.set()

    async def run(self, started: Callable[[Condition], None]) -> None:
        """Watch until ``stop`` is called. ``started`` is called once everything is watched."""
        loop = asyncio.get_running_loop()
        raise_descriptor_limit()
        journal = Journal(self._paths.journal, processes.boot_id())
        bus, ledger = Bus(journal.record), Ledger()
        births, why = open_source(self._config, bus, ledger)
        condition = Condition(__version__, births.name, why, time.time())
        core = build(
            self._paths,
            lambda: self._config.policy,
            bus=bus,
            ledger=ledger,
            journal=journal,
            later=loop.call_later,
            births=births,
        )
        files = FileSource(bus, loop)
        hints = HintSource(bus, files, self._paths.hints)
        notifier = Notifier(deadline=self._config.notify.deadline) if self._config.notify.enabled else None
        SocketKeeper(bus, ledger, files)
        tell = Tell(bus, notifier, lambda: self._config.notify.min_processes)
        bus.subscribe(CleanedUp, lambda _: condition.count())
        _look_when_told(bus, files, births)
        self._echo_from(bus)
        enquiries = Enquiries(
            ledger=ledger,
            runs=core.runs,
            explanations=core.explanations,
            halting=core.halting,
            keeping=core.keeping,
            policy=core.policy,
            condition=condition,
            trouble=lambda: journal.trouble,
        )
        inbox = Inbox(bus, self._paths.inbox, enquiries)
        residence = Residence(bus, self._paths, self._claim, inbox, self.stop)

        self._heed_signals(loop)
        self._begin(bus, journal, AgentStarted(__version__, births.name, why))
        async with contextlib.AsyncExitStack() as farewell:  # what is started last is stopped first
            farewell.callback(journal.sync)
            farewell.callback(core.handles.close)
            farewell.callback(core.exits.close)
            farewell.callback(births.close)
            births.start(loop)
            core.exits.start(loop)
            farewell.callback(files.stop)
            files.start()
            farewell.callback(core.snapshots.save)
            farewell.enter_context(Clock(bus).heard_on(loop))
            core.find_out()
            farewell.callback(hints.stop)
            hints.start()
            if notifier is not None:
                farewell.push_async_callback(notifier.close)
            farewell.push_async_callback(_see_through, core.clean_up.settle, tell.close)
            farewell.push_async_callback(inbox.close)
            await inbox.start()
            residence.check()
            removals.prune(self._paths.quarantine, time.time())
            gc.collect()
            gc.freeze()  # what is here now stays: no collection need ever walk it again
            started(condition)
            await self._stopped.wait()
            births.drain()  # what it was told up to now still counts, also for the next agent
            bus.publish(AgentStopped(self._why))

    def _begin(self, bus: Bus, journal: Journal, started: AgentStarted) -> None:
        """Say that we are there, and close what the agent before left open."""
        before = list(abandoned(self._paths.journal, processes.boot_id()))
        bus.publish(started)
        for intent in before:
            bus.publish(intent, intent.intent)
        if journal.trouble:
            bus.publish(SourceDegraded("journal", journal.trouble))

    def _echo_from(self, bus: Bus) -> None:
        if self._echo is not None:
            for kind in RECORDED:
                bus.subscribe(kind, self._echo)

    def _heed_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop, f"it got {number.name}")


def _look_when_told(bus: Bus, files: FileSource, births: ProcessSource) -> None:
    """Have one source look when another one tells that there is something to see."""
    bus.subscribe(EventsLost, lambda _: files.check())
    bus.subscribe(Woke, lambda _: files.check())
    bus.subscribe(TmuxHinted, lambda _: births.drain())  # a hint only says to hurry


async def _see_through(*under_way: Callable[[], Awaitable[None]]) -> None:
    """Give what is under way a moment to come to its end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FAREWELL):
            for end in under_way:
                await end()
