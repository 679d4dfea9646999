"""``sentinel keep``: who is left alone, whatever happens."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import click

from sentinel import paths, wire
from sentinel.cli import screen
from sentinel.cli.switching import Data, switch, switches_of
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.errors import SentinelError

if TYPE_CHECKING:
    from sentinel.bus import Bus
    from sentinel.core.switches import Keep
    from sentinel.switches import SwitchBoard


@click.command("keep")
@click.argument("what", metavar="[PID|SESSION]", required=False)
@click.option("--off", is_flag=True, help="Keep it no more.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(what: str | None, *, off: bool, as_json: bool) -> None:
    """Have a process or a session left alone with all that it bears, whatever its session comes to.

    That holds over a restart of the agent, until the process ends. Alone it lists what is kept.
    Exit status 1 when there is no such thing.
    """
    where = paths.find()
    if what is None:
        if off:
            raise click.UsageError("keep what no more? Give a PID or a SESSION")
        _list(where, as_json=as_json)
        return
    what = what.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    answer = switch(where, wire.Keep(what, off), lambda bus, switches: _alone(where, bus, switches, what, off=off))
    if as_json:
        click.echo(json.dumps(answer))
        return
    for line in _told(answer, off=off):
        screen.say(line)


def _alone(where: paths.Paths, bus: Bus, switches: SwitchBoard, what: str, *, off: bool) -> Data:
    """Find it with a look from here, and write the wish down for the agent to come."""
    from sentinel.core.ledger import Ledger
    from sentinel.handlers.keeping import Keeping
    from sentinel.handlers.naming import is_pid

    ledger = Ledger()
    if not is_pid(what):
        from sentinel.cli.alone import look_around

        look_around(where, ledger)
    keeping = Keeping(bus, ledger, switches, os.getuid())
    return keeping.release(what) if off else keeping.keep(what)


def _told(answer: Data, *, off: bool) -> list[str]:
    kept = answer.get("kept")
    if not isinstance(kept, list) or not kept:
        raise SentinelError("the agent's answer cannot be read")
    names = [clean(f"{entry['name']} (pid {entry['pid']})") for entry in kept]
    others = f" and {count(len(names) - 1, 'process', 'processes')} that it had borne" if len(names) > 1 else ""
    if off:
        return [f"{names[0]}{others}: kept no more."]
    return [f"{names[0]}{others}: left alone from now on, with all that it bears."]


def _list(where: paths.Paths, *, as_json: bool) -> None:
    switches = switches_of(where)
    kept = switches.now().kept
    entries = [_entry(keep) for keep in kept]
    if as_json:
        click.echo(json.dumps({"kept": entries, **{k: v for k, v in switches.state().items() if k != "kept"}}))
        return
    if why := switches.held():
        screen.say(f"Nothing is ended at all: {clean(why, 400)}.")
    if not entries:
        click.echo("Nothing is kept.")
    for entry in entries:
        of = f"  session {entry['session']}" if entry["session"] else ""
        screen.say(f"{entry['pid']:>8}  {entry['name']}{of}{'' if entry['alive'] else '  (has ended)'}")


def _entry(keep: Keep) -> Data:
    from sentinel.observe import processes

    alive = processes.ended(keep.id) is False
    return {"pid": keep.id.pid, "name": clean(keep.name), "session": clean(keep.session), "alive": alive}
