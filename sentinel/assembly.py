"""What keeps the ledger, judges and acts, tied together: the same for the agent and for single commands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentinel.bus import Bus
from sentinel.core.events import SourceDegraded
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.errors import SourceUnavailable
from sentinel.handlers.agent_hooks import AgentHooks
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.cleanup import CleanUp
from sentinel.handlers.discovery import Discovery
from sentinel.handlers.examiner import Examiner, find_ourselves
from sentinel.handlers.explanations import Explanations
from sentinel.handlers.halting import Halting
from sentinel.handlers.keeping import Keeping
from sentinel.handlers.last_resort import LastResort
from sentinel.handlers.later import Later
from sentinel.handlers.leftovers import Leftovers
from sentinel.handlers.openings import Openings
from sentinel.handlers.registrations import Registrations
from sentinel.handlers.restraint import Restraint
from sentinel.handlers.run_sessions import RunSessions
from sentinel.handlers.scopes import Scopes
from sentinel.handlers.snapshots import Snapshots
from sentinel.handlers.sweep import Sweep
from sentinel.handlers.unstick import UnstickServers
from sentinel.journal import Journal
from sentinel.observe import processes
from sentinel.observe.handles import HAS_PIDFD, Handles
from sentinel.paths import Paths
from sentinel.reaper.signals import Signaller
from sentinel.sources.choice import ProcessSource
from sentinel.sources.kqueue import KqueueSource
from sentinel.sources.pidfds import ExitWatch
from sentinel.switches import SwitchBoard

if TYPE_CHECKING:
    from sentinel.handlers.enquiries import Condition, Enquiries
    from sentinel.handlers.registered import RegisteredSessions
    from sentinel.handlers.tmux_sessions import TmuxSessions

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

    ledger: Ledger
    journal: Journal
    handles: Handles
    exits: ExitWatch | KqueueSource
    clean_up: CleanUp
    bookkeeper: Bookkeeper
    discovery: Discovery
    runs: RunSessions
    registered: Registrations
    hooks: AgentHooks
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

    def answering(self, tmux: TmuxSessions, condition: Condition) -> Enquiries:
        """What answers the requests of others from what we know."""
        from sentinel.handlers.enquiries import Enquiries  # single commands answer nobody

        return Enquiries(
            ledger=self.ledger,
            tmux=tmux,
            runs=self.runs,
            registered=self.registered,
            hooks=self.hooks,
            explanations=self.explanations,
            halting=self.halting,
            keeping=self.keeping,
            policy=self.policy,
            condition=condition,
            trouble=lambda: self.journal.trouble,
            unwatched=self.discovery.unwatched,
        )


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
        applied = switches.applied_to(wishes())
        keeping.apply()  # whom a person wants kept counts as soon: `keep` may have found no agent that answers
        return applied

    catch_up, sampled = (births.drain, births.sampled) if births is not None else (_nothing, True)
    exits = _open_exits(bus, handles, catch_up, _REAPED_BY_THEN if sampled else _SECOND_WORD)
    examiner = Examiner(ledger, handles, policy, us)
    signaller = Signaller(handles, journal, us)
    leftovers = Leftovers(ledger, journal, paths.quarantine, us.uid)

    # Who answers what, in the order in which they do.
    UnstickServers(bus, ledger, signaller, later)
    bookkeeper = Bookkeeper(bus, ledger, handles, exits, sampled=sampled, runtime=paths.runtime)
    openings = Openings(bus, ledger=ledger, handles=handles, exits=exits, bookkeeper=bookkeeper, uid=us.uid)
    scopes = Scopes(bus, ledger=ledger, handles=handles, bookkeeper=bookkeeper, openings=openings, later=later)
    keeping = Keeping(bus, ledger, switches, us.uid)
    discovery = Discovery(bus, ledger=ledger, handles=handles, bookkeeper=bookkeeper, openings=openings, later=later)
    runs = RunSessions(bus, ledger, bookkeeper=bookkeeper, openings=openings, runtime=paths.runtime, catch_up=catch_up)
    restraint = Restraint(bus, ledger, policy, switches, us.uid)

    clean_up = CleanUp(
        bus,
        ledger=ledger,
        examiner=examiner,
        signaller=signaller,
        leftovers=leftovers,
        policy=policy,
        restraint=restraint,
        catch_up=runs.catch_up,
    )
    LastResort(
        bus,
        ledger=ledger,
        examiner=examiner,
        scopes=scopes,
        restraint=restraint,
        journal=journal,
        policy=policy,
        catch_up=runs.catch_up,
        later=later,
    )

    def open_registered() -> RegisteredSessions:
        from sentinel.handlers.registered import RegisteredSessions, open_for_agent

        return RegisteredSessions(
            bus,
            ledger=ledger,
            handles=handles,
            exits=exits,
            bookkeeper=bookkeeper,
            discovery=discovery,
            openings=openings,
            registry=open_for_agent(paths, bus, mends=births is not None),
            policy=policy,
            catch_up=catch_up,
            later=later,
        )

    registered = Registrations(paths.registry, open_registered)
    sweep = Sweep(
        bus,
        ledger=ledger,
        handles=handles,
        bookkeeper=bookkeeper,
        discovery=discovery,
        find_runs=runs.find,
        find_registered=registered.find,
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
    return Core(
        ledger=ledger,
        journal=journal,
        handles=handles,
        exits=exits,
        clean_up=clean_up,
        bookkeeper=bookkeeper,
        discovery=discovery,
        runs=runs,
        registered=registered,
        hooks=AgentHooks(bus, ledger, discovery, catch_up),
        sweep=sweep,
        snapshots=snapshots,
        explanations=Explanations(ledger, examiner, leftovers, policy),
        halting=Halting(bus, switches, later),
        keeping=keeping,
        policy=policy,
        examiner=examiner,
        signaller=signaller,
        leftovers=leftovers,
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


def _nothing() -> None:
    """Nobody tells anything that could be caught up with."""
