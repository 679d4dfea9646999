"""``sentinel install``: have the agent kept running, and what goes with it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from sentinel import paths
from sentinel.cli.steps import STEPS, Host, NotHere, Plan, Step
from sentinel.cli.surgery import agreed
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.errors import SentinelError
from sentinel.service.footprint import Footprint

NAMES = tuple(step().name for step in STEPS)
_FEW = 2
"""Files that are named one by one."""


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


@click.command("install")
@click.option("--only", type=Names(), metavar="STEP,...", help=f"Only these of: {', '.join(NAMES)}.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
def command(*, only: tuple[str, ...] | None, dry_run: bool, yes: bool) -> None:
    """Have Sentinel started at each log-in, and your shells and man know it.

    Shows what it would do, and asks. To do it again, after an upgrade for instance, keeps all
    that is known of your sessions. sentinel uninstall takes everything back.

    Exit status: 0 done, or there was nothing to do; 1 something could not be done.
    """
    host = host_here()
    steps = chosen(only)
    plans = list(_plans(steps, host, strict=only is not None))
    footprint = Footprint(host.where.installed)
    click.echo("Sentinel would:" if dry_run else "Sentinel will:")
    for step, plan in plans:
        click.echo("\n".join(_lines(step, plan, host)))
    if dry_run or not plans or not agreed("Do this?", yes=yes):
        return
    for step, plan in plans:
        do(step, plan, host, footprint)
        click.echo(f"{step.name}: done")
    for hint in [hint for _, plan in plans for hint in plan.hints]:
        click.echo(clean(hint, 400))


def host_here() -> Host:
    """This machine, for the one who asks.

    Raises:
        SentinelError: It is root, who has no sessions to be watched.
    """
    if os.getuid() == 0 and not os.environ.get("SENTINEL_ALLOW_ROOT"):
        raise SentinelError("Sentinel is installed by each user for himself, not by root")
    return Host(paths.find(), Path(os.path.expanduser("~")), os.environ)


def chosen(only: Sequence[str] | None) -> list[Step]:
    """The steps of these names, in their order; without names all."""
    steps = [step() for step in STEPS]
    return [step for step in steps if only is None or step.name in only]


def do(step: Step, plan: Plan, host: Host, footprint: Footprint) -> None:
    """Carry out one step.

    Raises:
        SentinelError: It failed. What was written stands in the manifest.
    """
    footprint.making(host.where.state)
    os.chmod(host.where.state, 0o700)
    try:
        changed = [footprint.put(step.name, path, content) for path, content in plan.files.items()]
    except OSError as error:
        raise SentinelError(f"{error.filename}: cannot be written: {error.strerror}") from error
    for directory in plan.directories:
        footprint.expect(directory)
    footprint.save()
    step.done(host, changed=any(changed))


def _plans(steps: Sequence[Step], host: Host, *, strict: bool) -> Iterator[tuple[Step, Plan]]:
    """What each would do. One that has no place here is told and passed over, unless it was asked for by name."""
    for step in steps:
        try:
            yield step, step.plan(host)
        except NotHere as error:
            if strict:
                raise
            click.echo(f"sentinel: no {step.name}: {clean(str(error), 400)}", err=True)


def _lines(step: Step, plan: Plan, host: Host) -> Iterator[str]:
    yield f"  {step.name}: {step.says}"
    new = [path for path, content in plan.files.items() if not _holds(path, content)]
    named = new if len(new) <= _FEW else new[:_FEW]
    yield from (f"    write {shown(path, host)}" for path in named)
    if more := len(new) - len(named):
        yield f"    write {count(more, 'file')} more"
    if not new:
        yield f"    {count(len(plan.files), 'file')} as they should be"
    yield from (f"    run {command}" for command in plan.commands)


def shown(path: Path, host: Host) -> str:
    """A path as a person knows it."""
    home = f"{host.home}/"
    text = str(path)
    return clean("~/" + text.removeprefix(home) if text.startswith(home) else text, 400)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
