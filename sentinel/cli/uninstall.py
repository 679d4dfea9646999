"""``sentinel uninstall``: take back what ``sentinel install`` did."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sentinel import instance
from sentinel.cli.install import Names, chosen, host_here, shown
from sentinel.cli.steps import Host, Step
from sentinel.cli.surgery import agreed
from sentinel.core.sanitise import clean
from sentinel.errors import SentinelError
from sentinel.service.footprint import Footprint


@click.command("uninstall")
@click.option("--only", type=Names(), metavar="STEP,...", help="Only these; the rest stays.")
@click.option("--dry-run", is_flag=True, help="Show what would be taken back, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.option("--keep-history", is_flag=True, help="Leave the journal and what else is known of your sessions.")
def command(*, only: tuple[str, ...] | None, dry_run: bool, yes: bool, keep_history: bool) -> None:
    """Take back what `sentinel install` did, until your home is as it was.

    A file that you have changed since stays, and is named. Your configuration is yours and stays.

    Exit status: 0 all is as it was; 1 something stays.
    """
    host = host_here()
    footprint = Footprint(host.where.installed)
    steps = [step for step in reversed(chosen(only)) if step.name in footprint.steps]
    whole = footprint.steps <= {step.name for step in steps}
    erases = whole and not keep_history and footprint.made(host.where.state)
    if not steps:
        click.echo("Nothing is installed.")
        return
    click.echo("\n".join(_plan(steps, host, footprint, erases=erases)))
    if dry_run or not agreed("Do this?", yes=yes):
        return
    stays = [why for step in steps for why in _undo(step, host, footprint)]
    if whole:
        if erases:
            stays += _erase(host, footprint)
        footprint.leave()
    for why in stays:
        click.echo(f"sentinel: {clean(why, 400)}", err=True)
    click.echo("Sentinel is uninstalled." if whole else "Done.")
    sys.exit(1 if stays else 0)


def _plan(steps: Sequence[Step], host: Host, footprint: Footprint, *, erases: bool) -> list[str]:
    lines = ["Sentinel would take back:"]
    for step in steps:
        files = footprint.of(step.name)
        more = f", and {len(files) - 1} more" if len(files) > 1 else ""
        lines.append(f"  {step.name}: {step.says} ({shown(files[0], host)}{more})")
    if erases:
        lines.append(f"  the history of your sessions ({shown(host.where.state, host)}); to keep it: --keep-history")
    return lines


def _undo(step: Step, host: Host, footprint: Footprint) -> list[str]:
    """Take one step back. Says what stays."""
    stays = []
    try:
        step.undo(host)
    except SentinelError as error:  # no manager answers: nothing of ours runs under it either
        stays.append(f"{step.name}: {error}")
    try:
        stays += footprint.take_out(step.name, step.without)
        step.undone(host)
    except OSError as error:
        raise SentinelError(f"{error.filename}: cannot be put back: {error.strerror}") from error
    except SentinelError as error:
        if not stays:
            stays.append(f"{step.name}: {error}")
    return stays


def _erase(host: Host, footprint: Footprint) -> list[str]:
    """Remove our own state, where the installation has made its directory. Says what stays."""
    state = host.where.state
    if instance.look(host.where).condition is instance.Condition.RUNNING:
        return [f"an agent runs and writes into {state}: end it, and remove that yourself"]
    try:
        footprint.erase(state)
    except OSError as error:
        return [f"{error.filename}: cannot be removed: {error.strerror}"]
    return []
