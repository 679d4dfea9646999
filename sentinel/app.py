"""The only wiring: sources, bus, handlers and reaper, tied together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sentinel import __version__
from sentinel.bus import Bus
from sentinel.config import Config
from sentinel.core.events import AgentStarted, AgentStopped, CleanedUp, SourceDegraded
from sentinel.core.guards import Ourselves
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.errors import SourceUnavailable
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.cleanup import CleanUp
from sentinel.handlers.discovery import Discovery
from sentinel.handlers.enquiries import Condition, Enquiries
from sentinel.handlers.examiner import Examiner, find_ourselves
from sentinel.handlers.leftovers import Leftovers
from sentinel.handlers.sockets import SocketKeeper
from sentinel.handlers.sweep import Sweep
from sentinel.handlers.tell import Tell
from sentinel.handlers.unstick import UnstickServers
from sentinel.journal import Journal
from sentinel.notify import Notifier
from sentinel.observe import processes
from sentinel.observe.handles import Handles, raise_descriptor_limit
from sentinel.paths import Paths
from sentinel.reaper import removals
from sentinel.reaper.signals import Signaller
from sentinel.sources.connector import ProcConnector
from sentinel.sources.files import FileSource
from sentinel.sources.hints import HintSource
from sentinel.sources.inbox import Inbox
from sentinel.sources.pidfds import ExitWatch


class ProcessSource(Protocol):
    """Tells of births and ends: the proc connector, or sampling."""

    name: str

    def open(self) -> None:
        """Get ready, or raise ``SourceUnavailable``."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Publish from now on."""

    def drain(self) -> None:
        """Publish what happened up to now."""

    def close(self) -> None:
        """Stop."""


def open_source(config: Config, bus: Bus, ledger: Ledger) -> tuple[ProcessSource, str]:
    """The best process source that serves here, and why not a better one."""
    why = "the configuration asks for it"
    if config.sources.processes == "auto":
        connector = ProcConnector(bus, ledger)
        try:
            connector.open()
        except SourceUnavailable as error:
            why = str(error)
        else:
            return connector, ""
    from sentinel.sources.polling import Polling

    polling = Polling(bus, ledger, config.sources.poll_interval)
    polling.open()
    return polling, why


@dataclass(frozen=True, slots=True)
class Core:
    """What judges and acts, without what listens: shared by the agent and by single commands."""

    bus: Bus
    ledger: Ledger
    handles: Handles
    journal: Journal
    ourselves: Ourselves
    examiner: Examiner
    signaller: Signaller
    leftovers: Leftovers

    @classmethod
    def build(cls, paths: Paths, policy: Callable[[], Policy]) -> Core:
        """Wire the rooms that need no loop."""
        journal = Journal(paths.journal, processes.boot_id())
        ledger, handles, ourselves = Ledger(), Handles(), find_ourselves()
        return cls(
            bus=Bus(journal.record),
            ledger=ledger,
            handles=handles,
            journal=journal,
            ourselves=ourselves,
            examiner=Examiner(ledger, handles, policy, ourselves),
            signaller=Signaller(handles, journal, ourselves),
            leftovers=Leftovers(ledger, journal, paths.quarantine, ourselves.uid),
        )

    def clean_up(self, policy: Callable[[], Policy], catch_up: Callable[[], None]) -> CleanUp:
        """The handler that answers the deaths of sessions."""
        return CleanUp(
            self.bus,
            ledger=self.ledger,
            examiner=self.examiner,
            signaller=self.signaller,
            leftovers=self.leftovers,
            policy=policy,
            catch_up=catch_up,
        )


class Agent:
    """The per-user agent: made, run until it is told to stop, and done."""

    def __init__(self, config: Config, paths: Paths) -> None:
        self._config = config
        self._paths = paths
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
        core = Core.build(self._paths, lambda: self._config.policy)
        bus, ledger = core.bus, core.ledger
        source, why = open_source(self._config, bus, ledger)
        exits = ExitWatch(bus, core.handles, source.drain)
        files = FileSource(bus, loop)
        hints = HintSource(bus, files, self._paths.hints)
        condition = Condition(__version__, source.name, why, time.time())
        notifier = Notifier(deadline=self._config.notify.deadline) if self._config.notify.enabled else None

        # Who answers what, in the order in which they do.
        UnstickServers(bus, ledger, core.signaller)
        bookkeeper = Bookkeeper(bus, ledger, core.handles, exits, sampled=source.name != ProcConnector.name)
        clean_up = core.clean_up(lambda: self._config.policy, source.drain)
        discovery = Discovery(bus, ledger, core.handles, exits, core.ourselves)
        SocketKeeper(bus, ledger, files)
        tell = Tell(bus, notifier, lambda: self._config.notify.min_processes)
        enquiries = Enquiries(
            ledger=ledger,
            bookkeeper=bookkeeper,
            discovery=discovery,
            examiner=core.examiner,
            leftovers=core.leftovers,
            policy=lambda: self._config.policy,
            condition=condition,
            trouble=lambda: core.journal.trouble,
            runtime=self._paths.runtime,
        )
        sweep = Sweep(
            bus,
            ledger=ledger,
            handles=core.handles,
            bookkeeper=bookkeeper,
            discovery=discovery,
            register_runs=enquiries.register_runs,
            uid=core.ourselves.uid,
        )
        bus.subscribe(CleanedUp, lambda _: _count(condition))

        inbox = Inbox(bus, self._paths.inbox, enquiries)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop, f"it was told to by {number.name}")
        source.start(loop)
        exits.start(loop)
        bus.publish(AgentStarted(__version__, source.name, why))
        if core.journal.trouble:
            bus.publish(SourceDegraded("journal", core.journal.trouble))
        sweep.look()
        hints.start()
        await inbox.start()
        removals.prune(self._paths.quarantine, time.time())
        gc.collect()
        gc.freeze()  # what is here now stays: no collection need ever walk it again
        started(condition)

        await self._stopped.wait()
        bus.publish(AgentStopped(self._why))
        await inbox.close()
        hints.stop()
        files.stop()
        source.close()
        exits.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await clean_up.settle()
                await tell.close()
        if notifier is not None:
            await notifier.close()
        core.journal.sync()
        core.handles.close()


_FAREWELL = 1.5
"""Seconds that clean-ups under way get when the agent is told to stop. Their intents are in the
journal: what is not through by then is left, and the next start finds it there."""


def _count(condition: Condition) -> None:
    condition.cleaned += 1
