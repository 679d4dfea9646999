"""The only wiring: sources, bus, handlers and reaper, tied together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sentinel import __version__
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
from sentinel.core.policy import Policy
from sentinel.errors import SourceUnavailable
from sentinel.handlers.abandoned import abandoned
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.cleanup import CleanUp
from sentinel.handlers.discovery import Discovery
from sentinel.handlers.enquiries import Condition, Enquiries
from sentinel.handlers.examiner import Examiner, find_ourselves
from sentinel.handlers.explanations import Explanations
from sentinel.handlers.halting import Halting
from sentinel.handlers.keeping import Keeping
from sentinel.handlers.last_resort import LastResort
from sentinel.handlers.leftovers import Leftovers
from sentinel.handlers.residence import Residence
from sentinel.handlers.restraint import Restraint
from sentinel.handlers.run_sessions import RunSessions
from sentinel.handlers.scopes import Scopes
from sentinel.handlers.snapshots import Snapshots
from sentinel.handlers.sockets import SocketKeeper
from sentinel.handlers.sweep import Sweep
from sentinel.handlers.tell import Tell
from sentinel.handlers.unstick import UnstickServers
from sentinel.instance import Claim
from sentinel.journal import Journal
from sentinel.notify import Notifier
from sentinel.observe import processes
from sentinel.observe.handles import HAS_PIDFD, Handles, raise_descriptor_limit
from sentinel.paths import Paths
from sentinel.reaper import removals
from sentinel.reaper.signals import Signaller
from sentinel.sources.choice import ProcessSource, open_source
from sentinel.sources.clock import Clock
from sentinel.sources.files import FileSource
from sentinel.sources.hints import HintSource
from sentinel.sources.inbox import Inbox
from sentinel.sources.kqueue import KqueueSource
from sentinel.sources.pidfds import ExitWatch
from sentinel.switches import SwitchBoard

Later = Callable[..., object]
"""Calls a function after so many seconds, as ``loop.call_later`` does."""
_FAREWELL = 1.5
"""Seconds that clean-ups under way get when the agent is told to stop. Their intents are in the
journal: what is not through by then is left, and the journal shows it."""

_NO_DESCRIPTORS = "no descriptor is left to hold each process by: raise the limit (ulimit -n, LimitNOFILE=)"
_SECOND_WORD = 0.002
"""Seconds for which a pidfd leaves the word on a death to the connector."""
_REAPED_BY_THEN = 0.05
"""Seconds after which, where there is no connector, a death is told: by then its parent has
reaped it, and the kernel says how it died."""


@dataclass(frozen=True, slots=True)
class Core:
    """What keeps the ledger, judges and acts, without what listens.

    The agent and single commands share it: the same judgement, the same hand.
    """

    handles: Handles
    exits: ExitWatch | KqueueSource
    clean_up: CleanUp
    bookkeeper: Bookkeeper
    discovery: Discovery
    runs: RunSessions
    sweep: Sweep
    snapshots: Snapshots
    explanations: Explanations
    halting: Halting
    keeping: Keeping
    policy: Callable[[], Policy]
    """What the person wishes, with what is held now."""
    examiner: Examiner
    signaller: Signaller
    leftovers: Leftovers

    def find_out(self) -> None:
        """Take over from the agent before, then look what has come since."""
        self.snapshots.take_over()
        self.sweep.look()
        self.keeping.refresh()


def build(
    paths: Paths,
    wishes: Callable[[], Policy],
    *,
    bus: Bus,
    ledger: Ledger,
    journal: Journal,
    later: Later,
    births: ProcessSource | None = None,
    shares_group: bool = False,
) -> Core:
    """Wire the rooms that need no loop. Without ``births``, one look is all there is."""
    handles, us = Handles(), find_ourselves(with_group=not shares_group)
    handles.on_exhausted = lambda: bus.publish(SourceDegraded("handles", _NO_DESCRIPTORS))
    switches = SwitchBoard(paths.switches, processes.boot_id())

    def policy() -> Policy:
        return switches.applied_to(wishes())

    catch_up = births.drain if births is not None else _nothing
    exits = _open_exits(bus, handles, catch_up, _REAPED_BY_THEN if births is None or births.sampled else _SECOND_WORD)
    examiner = Examiner(ledger, handles, policy, us)
    signaller = Signaller(handles, journal, us)
    leftovers = Leftovers(ledger, journal, paths.quarantine, us.uid)

    # Who answers what, in the order in which they do.
    UnstickServers(bus, ledger, signaller, later)
    bookkeeper = Bookkeeper(bus, ledger, handles, exits, sampled=births is None or births.sampled)
    scopes = Scopes(bus, ledger=ledger, handles=handles, bookkeeper=bookkeeper, later=later, uid=us.uid)
    keeping = Keeping(bus, ledger, switches, us.uid)
    restraint = Restraint(bus, ledger, policy, switches, us.uid)
    clean_up = CleanUp(
        bus,
        ledger=ledger,
        examiner=examiner,
        signaller=signaller,
        leftovers=leftovers,
        policy=policy,
        restraint=restraint,
        catch_up=catch_up,
    )
    LastResort(
        bus,
        ledger=ledger,
        examiner=examiner,
        scopes=scopes,
        restraint=restraint,
        journal=journal,
        policy=policy,
        catch_up=catch_up,
        later=later,
    )
    discovery = Discovery(
        bus, ledger=ledger, handles=handles, exits=exits, bookkeeper=bookkeeper, ourselves=us, later=later
    )
    runs = RunSessions(ledger, bookkeeper, discovery, paths.runtime, catch_up)
    sweep = Sweep(
        bus,
        ledger=ledger,
        handles=handles,
        bookkeeper=bookkeeper,
        discovery=discovery,
        find_runs=runs.find,
        find_in_scopes=scopes.look,
        uid=us.uid,
    )
    snapshots = Snapshots(
        bus,
        ledger=ledger,
        handles=handles,
        bookkeeper=bookkeeper,
        discovery=discovery,
        path=paths.ledger,
        policy=policy,
        later=later,
        uid=us.uid,
    )
    explanations = Explanations(ledger, examiner, leftovers, policy)
    return Core(
        handles,
        exits,
        clean_up,
        bookkeeper,
        discovery,
        runs,
        sweep,
        snapshots,
        explanations,
        Halting(bus, switches),
        keeping,
        policy,
        examiner,
        signaller,
        leftovers,
    )


def _open_exits(bus: Bus, handles: Handles, catch_up: Callable[[], None], patience: float) -> ExitWatch | KqueueSource:
    """What waits for the ends of single processes: pidfds on Linux, a kqueue on macOS.

    Where there is neither, the pidfd watch refuses every process, and the samples have to do.
    """
    if not HAS_PIDFD:
        kqueue = KqueueSource(bus, catch_up)
        with contextlib.suppress(SourceUnavailable):
            kqueue.open()
            return kqueue
    return ExitWatch(bus, handles, catch_up, patience)


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


def _nothing() -> None:
    """Nobody tells anything that could be caught up with."""
