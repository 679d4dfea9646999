"""The agent: sources and handlers, tied to what keeps the ledger, judges and acts (``assembly``)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable

from sentinel import __version__
from sentinel import config as wishes_file
from sentinel.assembly import Core, build
from sentinel.bus import Bus
from sentinel.config import Config
from sentinel.core.events import (
    RECORDED,
    AgentStarted,
    AgentStopped,
    Event,
    EventsLost,
    IntentAbandoned,
    SourceDegraded,
    StartedSafely,
    TmuxHinted,
    Woke,
)
from sentinel.core.ledger import Ledger
from sentinel.errors import ConfigError
from sentinel.handlers.abandoned import abandoned
from sentinel.handlers.attendance import Attendance
from sentinel.handlers.buttons import Buttons
from sentinel.handlers.enquiries import Condition
from sentinel.handlers.residence import Residence
from sentinel.handlers.sockets import SocketKeeper
from sentinel.handlers.stale_locks import StaleLocks
from sentinel.handlers.tell import Tell
from sentinel.handlers.tmux import Tmux
from sentinel.handlers.wishes import Wishes
from sentinel.instance import Claim
from sentinel.journal import Journal
from sentinel.notify import Notifier
from sentinel.notify.ways import watched_servers, ways_to_the_person
from sentinel.observe import processes
from sentinel.observe.handles import HAS_PIDFD, raise_descriptor_limit
from sentinel.paths import Paths
from sentinel.reaper import quarantine, recovery
from sentinel.service.supervisor import Supervisor
from sentinel.service.timeslice import ask_for_short_turns
from sentinel.sources.choice import ProcessSource, open_source
from sentinel.sources.clock import Clock
from sentinel.sources.files import FileSource
from sentinel.sources.hints import HintSource
from sentinel.sources.holders import HolderWatch
from sentinel.sources.inbox import Inbox
from sentinel.sources.spool import SpoolSource

_FAREWELL = 1.5
"""Seconds that clean-ups under way get when the agent is told to stop. Their intents are in the
journal: what is not through by then is left, and the journal shows it."""


class Agent:
    """The per-user agent: made, run until it is told to stop, and done.

    Args:
        echo: Called with each recorded event, after everybody has answered it.
        safe: Why this is safe mode; empty when it is not. What an agent left is not read then, nor
            is the configuration, and nothing that it left is written over.
    """

    def __init__(
        self,
        config: Config,
        paths: Paths,
        claim: Claim,
        echo: Callable[[Event], None] | None = None,
        safe: str = "",
    ) -> None:
        self._config = config
        self._paths = paths
        self._claim = claim
        self._echo = echo
        self._safe = safe
        self._stopped = asyncio.Event()
        self._why = ""

    def stop(self, why: str) -> None:
        """Have ``run`` come to its end."""
        self._why = why
        self._stopped.set()

    async def run(self, started: Callable[[Condition], None]) -> None:
        """Watch until ``stop`` is called. ``started`` is called once everything is watched."""
        loop = asyncio.get_running_loop()
        _prepare()
        journal = Journal(self._paths.journal, processes.boot_id())
        bus, ledger = Bus(journal.record), Ledger()
        births, why = open_source(self._config, bus, ledger)
        condition = Condition(__version__, births.name, why, time.time(), safe=self._safe)
        wishes = Wishes(bus, self._config, self._read_wishes)
        core = build(
            self._paths,
            lambda: wishes.now.policy,
            bus=bus,
            ledger=ledger,
            journal=journal,
            later=loop.call_later,
            births=births,
        )
        files = FileSource(bus, loop)
        told = HintSource(bus, files, self._paths.hints), SpoolSource(bus, files, self._paths.spool)
        notifier = self._notifier(ledger)
        locks = self._files(bus, ledger, journal, files, core, lambda: wishes.now.locks.watch)
        tmux = Tmux(
            bus,
            ledger=ledger,
            journal=journal,
            where=self._paths,
            signaller=core.signaller,
            policy=core.policy,
            later=loop.call_later,
            look_for_sockets=core.discovery.sockets.look,
        )
        tell = Tell(bus, notifier, lambda: wishes.now.notify.manner, Buttons(bus, core.halting, self._paths.quarantine))
        condition.follow(bus)
        _look_when_told(bus, files, births)
        self._echo_from(bus)
        inbox = Inbox(bus, self._paths.inbox, core.answering(tmux.sessions, condition))
        residence = Residence(bus, self._paths, self._claim, inbox, self.stop)
        attendance = Attendance(
            bus, ledger, Supervisor(), held=lambda: core.policy().held, later=loop.call_later, safe=self._safe
        )

        self._heed_signals(loop, lambda: attendance.reload(wishes.read_again))
        self._begin(bus, journal, AgentStarted(__version__, births.name, why, self._claim.before))
        async with contextlib.AsyncExitStack() as farewell:  # what is started last is stopped first
            farewell.callback(journal.sync)
            farewell.callback(core.handles.close)
            farewell.callback(core.exits.close)
            farewell.callback(births.close)
            births.start(loop)
            core.exits.start(loop)
            farewell.callback(files.stop)
            files.start()
            farewell.enter_context(Clock(bus, births.drain).heard_on(loop))
            farewell.push_async_callback(tmux.close)
            self._find_out(core, locks, told, farewell)
            if notifier is not None:
                farewell.push_async_callback(notifier.close)
            farewell.push_async_callback(_see_through, core.clean_up.settle, tell.close)
            farewell.push_async_callback(residence.leave)
            await inbox.start()
            residence.check()
            quarantine.prune(self._paths.quarantine, quarantine.moment())
            _settle()
            started(condition)
            attendance.begin()
            await self._stopped.wait()
            attendance.end()
            births.drain()  # what it was told up to now still counts, also for the next agent
            bus.publish(AgentStopped(self._why))

    def _files(  # noqa: PLR0917 - all that both want
        self,
        bus: Bus,
        ledger: Ledger,
        journal: Journal,
        files: FileSource,
        core: Core,
        wished: Callable[[], tuple[str, ...]],
    ) -> StaleLocks:
        """Who answers what happens to files, sockets first."""
        SocketKeeper(bus, ledger, files)
        loop = asyncio.get_running_loop()
        return StaleLocks(
            bus,
            ledger=ledger,
            journal=journal,
            watches=files,
            holders=HolderWatch(bus, loop),
            policy=core.policy,
            later=loop.call_later,
            wished=wished,
            kept_in=self._paths.quarantine,
        )

    def _notifier(self, ledger: Ledger) -> Notifier | None:
        if not (wishes := self._config.notify).enabled:
            return None
        return Notifier(ways_to_the_person(wishes, lambda: watched_servers(ledger)))

    def _begin(self, bus: Bus, journal: Journal, started: AgentStarted) -> None:
        """Say that we are there, and close what the agent before left open."""
        before: list[IntentAbandoned] = []
        if not self._safe:
            recovery.take_up(self._paths.quarantine)
            before = list(abandoned(self._paths.journal, processes.boot_id()))
        bus.publish(started)
        if self._safe:
            bus.publish(StartedSafely(self._safe))
        for intent in before:
            bus.publish(intent, intent.intent)
        if journal.trouble:
            bus.publish(SourceDegraded("journal", journal.trouble))

    def _find_out(
        self,
        core: Core,
        locks: StaleLocks,
        told: Iterable[HintSource | SpoolSource],
        farewell: contextlib.AsyncExitStack,
    ) -> None:
        farewell.callback(locks.close)
        locks.watch()
        if self._safe:
            core.registered.stay_shut()
            core.sweep.look()
            return
        farewell.callback(core.snapshots.save)
        core.find_out()
        core.registered.tend(self._config.registry)
        for source in told:
            farewell.callback(source.stop)
            source.start()

    def _echo_from(self, bus: Bus) -> None:
        if self._echo is not None:
            for kind in RECORDED:
                bus.subscribe(kind, self._echo)

    def _read_wishes(self) -> Config:
        if self._safe:
            raise ConfigError("in safe mode no configuration is read")
        return wishes_file.load(self._paths.config_file)

    def _heed_signals(self, loop: asyncio.AbstractEventLoop, reload: Callable[[], None]) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop, f"it got {number.name}")
        if not _heed_the_terminal(loop, lambda: self.stop("its terminal is gone")):
            loop.add_signal_handler(signal.SIGHUP, reload)  # with a terminal a hang-up is what the name says


def _prepare() -> None:
    """Take what we may have: descriptors, since one is held per watched process, and the processor at once."""
    raise_descriptor_limit()
    ask_for_short_turns()
    _follow_children_by_pidfd()


def _follow_children_by_pidfd() -> None:
    if sys.version_info < (3, 12) and HAS_PIDFD:
        # Later Pythons do so by themselves. This one would keep a thread for each child, also for a minute.
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.get_event_loop_policy().set_child_watcher(watcher)


def _settle() -> None:
    """What is here now stays: no collection need ever walk it again."""
    gc.collect()
    gc.freeze()


def _heed_the_terminal(loop: asyncio.AbstractEventLoop, gone: Callable[[], None]) -> bool:
    """Have ``gone`` called when the terminal that we are in the foreground of is gone. Whether there is one.

    The kernel sends SIGHUP to who leads the terminal's session. Where that is no shell but a
    ``make``, it waits for us and passes nothing on.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    if sys.platform != "linux" or os.tcgetpgrp(terminal) != os.getpgrp():
        os.close(terminal)
        return True
    watch = select.epoll()
    # A hang-up wakes only who waits for input; edges, or what is typed and never read would wake us for ever.
    watch.register(terminal, select.EPOLLIN | select.EPOLLET)

    def look() -> None:
        if any(what & select.EPOLLHUP for _, what in watch.poll(0)):
            gone()

    loop.add_reader(watch.fileno(), look)
    return True


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
