"""What `clean` and `doctor` have in common: one look at everything, a hand, and how what it did is told."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click

from sentinel import instance, paths
from sentinel.assembly import Core
from sentinel.bus import Bus
from sentinel.cli import screen
from sentinel.cli.alone import look_around
from sentinel.config import Config
from sentinel.core.actions import Outcome, Result
from sentinel.core.facts import ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.core.sessions import Session
from sentinel.doctor.clearing import Clearing
from sentinel.doctor.findings import Finding
from sentinel.doctor.leftovers import Leftovers
from sentinel.errors import SentinelError
from sentinel.journal import Journal
from sentinel.observe import processes
from sentinel.observe.handles import raise_descriptor_limit

UNDONE = frozenset({Result.SURVIVED, Result.REFUSED, Result.HELD, Result.KEPT})
"""Results after which something is still there."""


@dataclass(frozen=True, slots=True)
class Room:
    """One look from here, and what may be done after it."""

    where: paths.Paths
    core: Core
    ledger: Ledger
    leftovers: Leftovers

    def act(
        self, shown: Sequence[Finding], ended: Sequence[Session], grace: float, reopens: Sequence[ProcessId] = ()
    ) -> list[Outcome]:
        """End, remove and have made again what a person has said yes to, with a bar on a terminal.

        Raises:
            SentinelError: There is no place for the journal, without which nothing may be ended.
        """
        if trouble := paths.prepare(self.where):
            raise SentinelError(trouble)
        hand = Clearing(self.leftovers, self.core, Bus(Journal(self.where.journal, processes.boot_id()).record))
        reopened = [hand.reopen(server) for server in reopens]
        number = sum(finding.target is not None for finding in shown)
        with _bar(number) as progress:
            outcomes = asyncio.run(hand.end(shown, grace, progress))
        return [*reopened, *outcomes, *hand.remove(ended)]


def open_room(wishes: Config | None = None) -> Room:
    """Look at everything. Nothing is changed, and nothing written.

    Args:
        wishes: Instead of those of the configuration.
    """
    where = paths.find()
    raise_descriptor_limit()
    ledger = Ledger()
    core = look_around(where, ledger, wishes)
    agent_runs = instance.look(where).condition in {instance.Condition.RUNNING, instance.Condition.UNKNOWN}
    leftovers = Leftovers(where, core, ledger, os.getuid(), agent_runs=agent_runs)
    return Room(where, core, ledger, leftovers)


def agreed(question: str, *, yes: bool) -> bool:
    """Whether the person says yes. Where nobody sits, nobody has."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        screen.say("sentinel: nothing was changed: nobody is here to ask; say --yes", err=True)
        return False
    if click.confirm(question, err=True):
        return True
    click.echo("Nothing was changed.", err=True)
    return False


def summary(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What was done, and what stays for which reason."""
    results = Counter(outcome.result for outcome in outcomes)
    said = [f"{results[result]} {result}" for result in Result if results[result]]
    yield f"{count(len(outcomes), 'thing')}: {', '.join(said) or 'nothing was done'}."
    for outcome in outcomes:
        if outcome.result in UNDONE:
            what = outcome.target if outcome.target.startswith("/") else f"pid {outcome.target.partition('@')[0]}"
            name = f" ({outcome.name})" if outcome.name else ""
            yield clean(f"  {what}{name}: {outcome.result}, {outcome.reason}", 600)


def outcome_as_data(outcome: Outcome) -> dict[str, object]:
    """One outcome for ``--json``."""
    return {
        "target": clean(outcome.target, 4096),
        "name": clean(outcome.name),
        "result": outcome.result,
        "reason": clean(outcome.reason, 400),
    }


@contextmanager
def _bar(number: int) -> Iterator[Callable[[int], None]]:
    """Something that shows how many of ``number`` are done, where a person sees it."""
    if not number or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("Ending", total=number)
        yield lambda done: bars.update(bar, completed=done)
