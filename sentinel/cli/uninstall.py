"""``sentinel uninstall``: take back what ``sentinel install`` did."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sentinel import instance, paths
from sentinel.cli import screen
from sentinel.cli.install import DIFF, Names, host_here, say_plan, shown
from sentinel.cli.steps import NAMES, step
from sentinel.cli.surgery import agreed
from sentinel.core.sanitise import clean
from sentinel.errors import SentinelError
from sentinel.integrations.plan import Change, Host
from sentinel.service.footprint import Footprint


@click.command("uninstall")
@click.option("--only", type=Names(), metavar="STEP,...", help="Only these; the rest stays.")
@click.option("--dry-run", is_flag=True, help="Show what would be taken back, and change nothing.")
@DIFF
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--keep-history", is_flag=True, help="Leave the journal and what else is known of your sessions.")
def command(*, only: tuple[str, ...] | None, dry_run: bool, diff: bool, yes: bool, keep_history: bool) -> None:
    """Take back what `sentinel install` did, until your home is as it was.

    A file that you have changed since stays, and is named. Your configuration is yours and stays.

    Exit status: 0 all is as it was, or nothing was installed; 1 something stays.
    """
    host, where = host_here(), paths.find()
    footprint = Footprint(where.installed)
    changes, stays = _plan(footprint, host, NAMES if only is None else only)
    history = only is None and not keep_history and footprint.made(host.state)
    if not changes and not stays and not history:
        click.echo("Nothing is installed.")
        return
    say_plan(shown(changes, "Sentinel would:" if dry_run else "Sentinel will:", diff=diff), diff=diff)
    if history:
        screen.say(f"  remove the history of your sessions ({host.show(host.state)}); to keep it: --keep-history")
    if dry_run:
        return
    if not agreed("Do this?", yes=yes):
        raise click.exceptions.Exit(1)
    stays += _undo(changes)
    if only is None and not stays:
        stays = _erase(where, footprint) if history else []
        footprint.leave()
    for why in stays:
        screen.say(f"sentinel: {clean(why, 400)}", err=True)
    click.echo("The rest is done." if stays else "Sentinel is uninstalled." if only is None else "Done.")
    sys.exit(1 if stays else 0)


def _plan(footprint: Footprint, host: Host, names: Sequence[str]) -> tuple[list[tuple[str, Change]], list[str]]:
    """What there is to take back, the last step first; and what cannot be, and why."""
    changes, stays = [], []
    for name in (name for name in reversed(NAMES) if name in names):
        try:
            if change := step(name, footprint).uninstall(host):
                changes.append((name, change))
        except SentinelError as error:
            if name in footprint.steps:
                stays.append(f"{name}: {error}")
    return changes, stays


def _undo(changes: Sequence[tuple[str, Change]]) -> list[str]:
    """Take everything back that can be. Says what cannot."""
    stays = []
    for name, change in changes:
        try:
            change.make()
        except SentinelError as error:
            stays.append(f"{name}: {error}")
    return stays


def _erase(where: paths.Paths, footprint: Footprint) -> list[str]:
    """Remove our own state, where the installation has made its directory. Says what stays."""
    if instance.look(where).condition is instance.Condition.RUNNING:
        return [f"an agent runs and writes into {where.state}: end it, and remove that yourself"]
    try:
        footprint.erase(where.state)
    except OSError as error:
        return [f"{error.filename}: cannot be removed: {error.strerror}"]
    return []
