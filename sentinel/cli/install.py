"""``sentinel install``: have the agent kept running, and what goes with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sentinel import paths
from sentinel.cli import refuse_root, screen
from sentinel.cli.hooks import whole
from sentinel.cli.steps import NAMES, step
from sentinel.cli.surgery import agreed
from sentinel.core.sanitise import clean
from sentinel.errors import SentinelError
from sentinel.integrations.plan import Change, Host
from sentinel.service.command import ours
from sentinel.service.footprint import Footprint

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_LINE = 400


class Names(click.ParamType[tuple[str, ...]]):
    """Some of the steps, with commas between them."""

    name = "steps"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Refuse a step that there is not."""
        names = tuple(name.strip() for name in str(value).split(","))
        for name in names:
            if name not in NAMES:
                self.fail(f'no step "{name}"; there are: {", ".join(NAMES)}', param, ctx)
        return names

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        """Those that are not named yet."""
        from click.shell_completion import CompletionItem

        named, comma, begun = incomplete.rpartition(",")
        left = (name for name in NAMES if name not in named.split(","))
        return [CompletionItem(f"{named}{comma}{name}") for name in left if name.startswith(begun)]


DIFF = click.option("--diff", is_flag=True, help="Show each line that would change in your configuration.")


@click.command("install")
@click.option("--only", type=Names(), metavar="STEP,...", help=f"Only these of: {', '.join(NAMES)}.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@DIFF
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
def command(*, only: tuple[str, ...] | None, dry_run: bool, diff: bool, yes: bool) -> None:
    """Have Sentinel started at each log-in, and let your shells, man, coding agents and tmux know it.

    Shows what it would do, and asks. To do it again, after an upgrade for instance, keeps all
    that is known of your sessions. sentinel uninstall takes everything back.

    Exit status: 0 done, or there was nothing to do; 1 nothing was changed, or not all of it.
    """
    host = host_here()
    footprint = Footprint(paths.find().installed)
    words = ours(host.environ)
    changes = [
        (name, change)
        for name in NAMES
        if (only is None or name in only) and (change := _plan(name, footprint, host, words, strict=only is not None))
    ]
    if not changes:
        click.echo("Everything is as it should be.")
        return
    say_plan(shown(changes, "Sentinel would:" if dry_run else "Sentinel will:", diff=diff), diff=diff)
    if dry_run:
        return
    if not agreed("Do this?", yes=yes):
        raise click.exceptions.Exit(1)
    try:
        footprint.making(host.state)
    except OSError as error:
        raise SentinelError(f"{host.show(host.state)} cannot be made: {error.strerror}") from error
    failed = [name for name, change in changes if not _done(name, change)]
    for name, change in changes:
        if change.hint and name not in failed:
            screen.say(clean(f"{name}: {change.hint}", _LINE))
    sys.exit(1 if failed else 0)


def host_here() -> Host:
    """This machine, for the one who asks.

    Raises:
        SentinelError: It is root, who has no sessions to be watched.
    """
    refuse_root("Sentinel is installed by each user for himself, not by root")
    return Host(Path(os.path.expanduser("~")), paths.find().state, os.environ)


def shown(changes: Sequence[tuple[str, Change]], head: str, *, diff: bool) -> Iterator[str]:
    """A plan, for people: a line a file, or with ``diff`` each line that would be another one."""
    yield head
    for name, change in changes:
        yield f"  {name}:"
        yield from (f"    {whole(line)}" for line in (not diff and change.brief) or change.lines)
    if not diff and any(change.brief for _, change in changes):
        yield "  (--diff shows each line of it)"


def say_plan(lines: Iterable[str], *, diff: bool) -> None:
    """Write it. Lines of a file stay what they are, however narrow the terminal is."""
    (click.echo if diff else screen.say)("\n".join(lines))


def _done(name: str, change: Change) -> bool:
    """Carry out one step, and tell how it went. One that fails does not keep the others from their turn."""
    try:
        change.make()
    except SentinelError as error:
        screen.say(f"sentinel: {name}: {clean(str(error), _LINE)}", err=True)
        return False
    click.echo(f"{name}: done")
    return True


def _plan(name: str, footprint: Footprint, host: Host, words: Sequence[str], *, strict: bool) -> Change | None:
    """What there is to do. A step that has no place here is told and passed over, unless it was asked for by name."""
    try:
        return step(name, footprint).install(host, words)
    except SentinelError as error:
        if strict:
            raise
        screen.say(f"sentinel: no {name}: {clean(str(error), _LINE)}", err=True)
        return None
