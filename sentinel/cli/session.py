"""``sentinel session``: sessions that say of themselves that they are there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sentinel import paths
from sentinel.cli import screen
from sentinel.cli.numbers import Pid
from sentinel.clocks import day_and_time
from sentinel.core.sanitise import clean
from sentinel.errors import NoSuchThing, SentinelError

if TYPE_CHECKING:
    from sentinel.config import Registry as Wishes
    from sentinel.registry.entries import Entry
    from sentinel.registry.registry import Registry

Data = dict[str, object]

_COLUMNS = ("SESSION", "KIND", "PID", "CHILDREN", "AGE", "STATE", "PROJECT")
_YIELDING = (6, 0, 1, 5)
"""Which of them give way on a narrow terminal, in this order."""
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON.")
_PID = Pid()


@click.group("session", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Register a script or program as a watched session.

    What it leaves when its process ends, however it ends, is ended too. All of it works without
    the agent, which reads the registry at its start.

    Exit status: 1 there is no such session or it is not believed, 75 another process keeps the
    registry locked for 5 s, 65 it is damaged, 74 it cannot be read or written.
    """


@command.command("register")
@click.argument("session", metavar="ID")
@click.option("--pid", type=_PID, help="Its process; by default the one that runs this command: a script's shell.")
@click.option("--kind", default="registered", metavar="KIND", help="What sort of thing it is, in a word of yours.")
@click.option("--name", default="", help="What to call it; by default its ID.")
@click.option("--project", default="", metavar="DIRECTORY", help="What it works on.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Anything else. May be repeated.")
@_JSON
def register(  # noqa: PLR0917 - click passes by name
    session: str, pid: int | None, kind: str, name: str, project: str, labels: Sequence[str], *, as_json: bool
) -> None:
    """Say that a session called ID is there.

    The same process under the same ID again is the same session; another one is the next of
    that ID, and ends the one before.
    """
    marks = _labels(labels)
    if project and not os.path.isdir(project):
        screen.say(f"sentinel: there is no directory {clean(project, 400)}; it is noted all the same", err=True)
    with _registry() as registry:
        entry = registry.register(
            session,
            pid=os.getppid() if pid is None else pid,
            kind=kind,
            name=name,
            project=os.path.abspath(project) if project else "",
            labels=marks,
        )
        if as_json:
            _show_json(_data(registry, entry, _wishes()))
            return
        which = f", the {_ordinal(entry.generation)} of that id" if entry.generation > 1 else ""
        screen.say(f"{clean(entry.id)} is registered (pid {entry.root.pid}{which}). {_who_watches(registry)}")


@command.command("heartbeat")
@click.argument("session", metavar="ID")
def heartbeat(session: str) -> None:
    """Say that ID lives. Needed only where Sentinel cannot see that itself: elsewhere, in a container."""
    with _registry() as registry:
        registry.heartbeat(session)


@command.command("child")
@click.argument("session", metavar="ID")
@click.argument("pid", metavar="PID", type=_PID)
@click.option("--remove", is_flag=True, help="It is no more.")
def child(session: str, pid: int, *, remove: bool) -> None:
    """Name a process as ID's own.

    It is ended when ID ends, also if it has left by then. Believed of what hangs under ID's
    process, and of what has lost its parent and is named from there.
    """
    with _registry() as registry:
        if not remove:
            registry.add_child(session, pid)
        elif not registry.remove_child(session, pid):
            raise NoSuchThing(f"process {pid} is none of {clean(session)}'s children")


@command.command("end")
@click.argument("session", metavar="ID")
@click.option("--why", default="it said so", metavar="TEXT", help="For the list.")
def end(session: str, why: str) -> None:
    """Say that ID is over.

    What it leaves is ended when its process ends, within 10 s from now; one that goes on after
    that is watched no more, and nothing of it is ended.
    """
    from sentinel.registry.retention import prune

    with _registry() as registry:
        registry.end(session, why)
        prune(registry, _wishes())


@command.command("list")
@click.option("--all", "ended", is_flag=True, help="Also those that are over.")
@click.option("--stale", is_flag=True, help="Only those whose process has ended, or that are silent and out of sight.")
@_JSON
def list_(*, ended: bool, stale: bool, as_json: bool) -> None:
    """List the registered sessions."""
    wishes = _wishes()
    with _registry() as registry:
        entries = registry.stale(wishes.stale_after) if stale else registry.sessions(ended=ended)
        told = [_data(registry, entry, wishes) for entry in entries]
    if as_json:
        _show_json(told)
    elif not told:
        click.echo("No registered session is stale." if stale else "No session is registered.")
    else:
        for line in screen.table([_COLUMNS, *map(_row, told)], screen.width(), _YIELDING):
            click.echo(line)


@command.command("show")
@click.argument("session", metavar="ID")
@_JSON
def show(session: str, *, as_json: bool) -> None:
    """Show what is known of ID.

    If none is active, of the last one that was called so.
    """
    with _registry() as registry:
        generations = registry.generations(session)
        if not generations:
            raise NoSuchThing(f"no session is registered as {clean(session)}")
        data = _data(registry, generations[-1], _wishes())
    if as_json:
        _show_json(data)
        return
    for line in _lines(data):
        screen.say(line)


@command.command("find")
@click.option("--pid", type=_PID, required=True, help="A process: a session's own, its child, or anything under these.")
@_JSON
def find(pid: int, *, as_json: bool) -> None:
    """Say which session a process belongs to. Exit status 1: to none."""
    with _registry() as registry:
        entries = registry.find(pid)
        told = [_data(registry, entry, _wishes()) for entry in entries]
    if as_json:
        _show_json(told)
    for entry in entries if not as_json else ():
        click.echo(clean(entry.id))
    if not told:
        raise NoSuchThing(f"process {pid} belongs to no registered session")


# -- steps -------------------------------------------------------------------------


@contextmanager
def _registry() -> Iterator[Registry]:
    """The registry of this user. That it had to be mended is said last, on standard error."""
    from sentinel.registry.registry import Registry

    with Registry() as registry:
        try:
            yield registry
        finally:
            if registry.mended:
                screen.say(f"sentinel: {clean(registry.mended, 1000)}", err=True)


def _wishes() -> Wishes:
    from sentinel import config

    return config.load(paths.find().config_file).registry


def _labels(labels: Sequence[str]) -> dict[str, str] | None:
    for label in labels:
        if "=" not in label:
            raise click.UsageError(f"{clean(label)} is no label: NAME=VALUE")
    return dict(label.split("=", 1) for label in labels) or None


def _who_watches(registry: Registry) -> str:
    return "It is watched." if registry.heard else "No agent runs: it is watched when one does."


def _show_json(data: object) -> None:
    click.echo(json.dumps(data))


def _data(registry: Registry, entry: Entry, wishes: Wishes) -> Data:
    """An entry as ``--json`` shows it. Times are seconds since the epoch."""
    from sentinel.registry.logs import path_of

    return {
        "id": clean(entry.id),
        "generation": entry.generation,
        "kind": clean(entry.kind),
        "name": clean(entry.name),
        "project": clean(entry.project, 4096),
        "labels": {clean(name): clean(value, 4096) for name, value in entry.labels.items()},
        "pid": entry.root.pid,
        "root": str(entry.root),
        "host": clean(entry.place.host),
        "boot": entry.place.boot,
        "namespace": entry.place.namespace,
        "status": entry.status,
        "standing": registry.standing(entry, wishes.stale_after),
        "registered": entry.registered,
        "heartbeat": entry.heartbeat,
        "ended": entry.ended,
        "why": clean(entry.why),
        "children": [
            {"pid": who.pid, "process": str(who), "proof": proof, "alive": _lives(registry, entry, who)}
            for who, proof in entry.children
        ],
        "log": str(path_of(registry.logs, entry)),
    }


def _lives(registry: Registry, entry: Entry, who: object) -> bool | None:
    """None: nobody here can tell."""
    from sentinel.core.facts import ProcessId
    from sentinel.observe import processes

    if entry.place != registry.here or not isinstance(who, ProcessId):
        return None
    ended = processes.ended(who)
    return not ended if isinstance(ended, bool) else None


def _row(data: Data) -> tuple[str, ...]:
    from sentinel.cli import times

    registered, children = data["registered"], data["children"]
    since = time.time() - registered if isinstance(registered, float) else 0.0
    number = len(children) if isinstance(children, list) else 0
    return (
        str(data["id"]),
        str(data["kind"]),
        str(data["pid"]),
        str(number),
        times.age(since),
        str(data["standing"]),
        str(data["project"]),
    )


def _lines(data: Data) -> Iterator[str]:
    yield f"{data['id']} (the {_ordinal(data['generation'])} of that id): {data['standing']}"
    for what in ("kind", "name", "project", "host"):
        if data[what]:
            yield f"  {what}: {data[what]}"
    yield f"  process: {data['pid']}"
    labels, children = data["labels"], data["children"]
    for name, value in labels.items() if isinstance(labels, dict) else ():
        yield f"  label {name}: {value}"
    for one in children if isinstance(children, list) else ():
        alive = {True: "", False: ", has ended", None: ", out of sight"}[one["alive"]]
        yield f"  child: {one['pid']}{alive}"
    for what in ("registered", "heartbeat", "ended"):
        if isinstance(when := data[what], float):
            why = f", {data['why']}" if what == "ended" else ""
            yield f"  {what}: {day_and_time(when)}{why}"
    if os.path.exists(log := str(data["log"])):
        yield f"  log: {log}"


def _ordinal(number: object) -> str:
    if not isinstance(number, int):
        raise SentinelError("the registry's answer cannot be read")
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in {11, 12, 13} else "th"
    return f"{number}{suffix}"
