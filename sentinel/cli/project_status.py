"""``sentinel status PROJECT``: how one project is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import click

from sentinel import paths
from sentinel.cli.projects import chosen, say
from sentinel.clocks import day_and_time
from sentinel.core.facts import Unknown
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.environments import notes, wording
from sentinel.environments.health import Health, faults, health, leftovers
from sentinel.environments.scene import Survey
from sentinel.environments.survey import survey
from sentinel.errors import NoSuchThing

_RUNS, _DEAD_BUT_LEFT, _STOPPED, _UNKNOWN = 0, 1, 3, 4  # LSB: exit status of the status action
_KINDS = 8
"""Of many kinds of processes, so many are named."""
_MARKS = {Health.HEALTHY: "HEALTHY", Health.PARTIAL: "PARTIAL", Health.STOPPED: "STOPPED", Health.UNKNOWN: "UNKNOWN"}


class Unheard(NoSuchThing):
    """There is no such project: how it is, nobody can say."""

    exit_code = _UNKNOWN


def show(said: str, *, as_json: bool) -> int:
    """Show how a project is. The exit status, as LSB has it: 0 healthy, 1 in part or something left, 3, 4 unknown.

    Raises:
        Unheard: There is none.
        ConfigError: Its file cannot be used.
    """
    where = paths.find()
    try:
        project = chosen(said, where)
    except NoSuchThing as error:
        raise Unheard(str(error)) from error
    seen = survey(where, project)
    how, left = health(seen), list(leftovers(seen))
    if as_json:
        click.echo(json.dumps(_data(seen, how, left)))
    else:
        for line in _lines(seen, how, left):
            say(line)
    if how is Health.STOPPED:
        return _DEAD_BUT_LEFT if left else _STOPPED
    return {Health.HEALTHY: _RUNS, Health.UNKNOWN: _UNKNOWN}.get(how, _DEAD_BUT_LEFT)


def _lines(seen: Survey, how: Health, left: list[str]) -> Iterator[str]:
    yield f"{seen.project.name} ({seen.project.directory}): {_MARKS[how]}"
    yield from (f"  {line}" for line in _managers(seen))
    for server in seen.servers:
        lost = "" if server.managed else ": its Overmind has ended"
        yield f"  tmux server {server.label} (pid {server.facts.id.pid}){lost}"
    for port, held in seen.ports.items() if isinstance(seen.ports, dict) else ():
        names = [name for name, given in seen.project.given.items() if given == port]
        who = ", ".join(wording.holder(one) + ("" if one.ours else ", not the project's") for one in held)
        yield f"  port {port}{f' ({names[0]})' if names else ''}: {who or 'free'}"
    if isinstance(seen.ports, Unknown):
        yield f"  {seen.ports}"
    if seen.claims:
        counted = Counter(clean(claim.facts.name) for claim in seen.claims.values())
        kinds = ", ".join(f"{number} {name}" for name, number in counted.most_common(_KINDS))
        yield f"  {count(len(seen.claims), 'process')}: {kinds}"
    for fault in faults(seen) if how is Health.PARTIAL else ():
        yield f"  but {fault}"
    for thing in left:
        yield f"  left over: {thing}"
    if left:
        yield f"clean it up with: {wording.command('stop', seen.project)}"
    if how is Health.PARTIAL:
        yield f"mend it with: {wording.command('restart', seen.project)}"
    elif how is Health.STOPPED and not left:
        taken = [port for port, held in seen.ports.items() if held] if isinstance(seen.ports, dict) else []
        when = f" when {wording.ports(taken)} {'are' if taken[1:] else 'is'} free" if taken else ""
        yield f"start it{when} with: {wording.command('start', seen.project)}"


def _managers(seen: Survey) -> Iterator[str]:
    if not seen.managers:
        yield "nothing stands over it"
    for manager in seen.managers:
        started = seen.started
        known = started is not None and notes.root_of(started) == manager.facts.id
        since = f" since {day_and_time(started.since)}" if known and started is not None else ""
        by = f", started by {started.by}" if known and started is not None else ""
        reach = f", listening at {manager.socket}" if manager.socket else ""
        yield f"{wording.MANAGERS[manager.kind]} (pid {manager.facts.id.pid}){since}{reach}{by}"


def _data(seen: Survey, how: Health, left: list[str]) -> dict[str, object]:
    ports = (
        None
        if isinstance(seen.ports, Unknown)
        else {
            str(port): [
                {"pid": one.pid or None, "uid": one.uid, "name": clean(one.name), "ours": one.ours} for one in held
            ]
            for port, held in seen.ports.items()
        }
    )
    return {
        "project": clean(seen.project.name),
        "directory": clean(seen.project.directory, 4096),
        "state": how,
        "managers": [
            {"kind": one.kind, "pid": one.facts.id.pid, "socket": clean(one.socket, 4096)} for one in seen.managers
        ],
        "tmux": [{"pid": one.facts.id.pid, "label": clean(one.label), "managed": one.managed} for one in seen.servers],
        "ports": ports,
        "processes": [
            {
                "pid": claim.facts.id.pid,
                "name": clean(claim.facts.name),
                "evidence": [clean(sentence, 400) for sentence in claim.evidence],
            }
            for claim in seen.claims.values()
        ],
        "faults": [clean(fault, 400) for fault in faults(seen)] if how is Health.PARTIAL else [],
        "leftovers": [clean(thing, 400) for thing in left],
    }
