"""``sentinel hooks``: Sentinel in the configuration of the programs that it watches."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sentinel import paths
from sentinel.cli import screen
from sentinel.core.sanitise import clean
from sentinel.errors import SentinelError
from sentinel.integrations.known import INTEGRATIONS, integration
from sentinel.integrations.plan import Change, Host, Standing

if TYPE_CHECKING:
    from sentinel.history import Record

_UNRECORDED = {"tmux"}
"""Whose hooks only say where to look: the journal does not have them."""
_LINE = 400
_WHOLE = 1 << 24
"""Characters: more than the longest line of the largest file that is changed, every one of them escaped."""
_PROGRAM = click.argument("program", type=click.Choice(list(INTEGRATIONS)))
_YES = click.option("-y", "--yes", is_flag=True, help="Do it without asking.")


@click.group("hooks")
def command() -> None:
    """Have a program tell Sentinel what it does, through hooks in your own configuration of it.

    Nothing rests on hooks: without them Sentinel learns of births and deaths from the kernel.
    They tell it what a program calls its session, and what it runs in the background.
    """


@command.command("install")
@_PROGRAM
@_YES
def install(program: str, *, yes: bool) -> None:
    """Write Sentinel's entries into your configuration of PROGRAM.

    Shows them and asks. Other entries stay byte for byte. To do it again, after Sentinel has
    moved for instance, replaces its own.

    Exit status: 0 done, or there was nothing to do; 1 nothing was changed.
    """
    from sentinel.service.command import ours

    host = _host()
    its = integration(program)
    change = its.install(host, ours(host.environ) if its.starts_us else ())
    _carry_out(change, f"{program}: the hooks are there as they should be.", f"{program}: done", yes=yes)


@command.command("uninstall")
@_PROGRAM
@_YES
def uninstall(program: str, *, yes: bool) -> None:
    """Take Sentinel's entries out of your configuration of PROGRAM. Nothing else is touched.

    Exit status: 0 done, or there was nothing to do; 1 nothing was changed.
    """
    change = integration(program).uninstall(_host())
    _carry_out(change, f"{program}: no hooks of Sentinel are there.", f"{program}: done", yes=yes)


@command.command("status")
@click.argument("program", type=click.Choice(list(INTEGRATIONS)), required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def status(program: str | None, *, as_json: bool) -> None:
    """Show where the hooks are. Also whether they will be run, and when one fired last."""
    host = _host()
    told = [_told(name, host) for name in ([program] if program else INTEGRATIONS)]
    if as_json:
        click.echo(json.dumps(told))
        return
    for one in told:
        screen.say(clean(_sentence(one), _LINE))


def _host() -> Host:
    return Host(Path(os.path.expanduser("~")), paths.find().state, os.environ)


def whole(line: str) -> str:
    """A line of a change, whole: nobody can agree to what is cut off."""
    return clean(line.expandtabs(4), _WHOLE)


def _carry_out(change: Change | None, nothing: str, done: str, *, yes: bool) -> None:
    if change is None:
        click.echo(nothing)
        return
    from sentinel.cli.surgery import agreed

    for line in change.lines:
        click.echo(whole(line))
    if not agreed("Write this?", yes=yes):
        raise click.exceptions.Exit(1)
    change.make()
    click.echo(done)
    if change.hint:
        screen.say(clean(change.hint, _LINE))


def _told(program: str, host: Host) -> dict[str, object]:
    try:
        standing = integration(program).status(host)
    except SentinelError as error:
        standing = Standing(installed=False, where="", why=str(error))
    return {
        "program": program,
        "installed": standing.installed,
        "where": clean(standing.where, _LINE),
        "trusted": standing.trusted,
        "why": clean(standing.why, _LINE),
        **_last_fired(program),
    }


def _last_fired(program: str) -> dict[str, object]:
    """When a hook of this program fired last, as far as the journal goes back, and which."""
    from sentinel.core.events import HookFired
    from sentinel.history import History
    from sentinel.records import PREFIX

    kind = PREFIX + HookFired.type

    def wanted(record: Record) -> bool:
        data = record.get("data")
        return record.get("type") == kind and isinstance(data, dict) and data.get("agent") == program

    history = History(paths.find().journal)
    found = history.last(1, wanted)
    history.close()
    if not found:
        return {"fired": None, "event": None}
    data = found[0].record.get("data")
    event = data.get("hook") if isinstance(data, dict) else ""
    return {"fired": found[0].record.get("time"), "event": clean(str(event))}


def _sentence(told: Mapping[str, object]) -> str:
    if not told["installed"]:
        return f"{told['program']}: not installed" + (f": {told['why']}" if told["why"] else "")
    trusted = {True: "will be run", False: f"will not be run: {told['why']}", None: ""}
    said = [f"installed in {told['where']}", trusted[told["trusted"] if isinstance(told["trusted"], bool) else None]]
    if told["program"] not in _UNRECORDED:
        from sentinel.cli import times

        fired = f"{told['event']} fired last, {times.local(str(told['fired']))}"
        said.append(fired if told["fired"] else "none has fired yet")
    return f"{told['program']}: {'; '.join(part for part in said if part)}"
