"""``sentinel status``: whether the agent lives, and what it watches."""

from __future__ import annotations

import json
import os
import sys

import click

from sentinel import client, instance, paths, wire
from sentinel.cli import screen
from sentinel.cli.switching import held, switches_of
from sentinel.clocks import day_and_time
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.errors import ConfigError, NotRunning, SentinelError
from sentinel.service.installed import how_to_start

_RUNNING, _CRASHED, _STOPPED, _UNKNOWN = 0, 1, 3, 4  # LSB: exit status of the status action


@click.command("status")
@click.argument("project", required=False, metavar="[PROJECT]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(*, project: str | None, as_json: bool) -> None:
    """Show whether the agent runs, and what it watches; or how a PROJECT is: a directory (.) or a name.

    Exit status: 0 it runs, 1 it died and left its lock file, 3 it does not run, 4 unknown.
    Of a project: 0 healthy, 1 in part, or something is left over, 3 stopped, 4 unknown, or there is none.
    """
    if project is not None:
        from sentinel.cli.project_status import show

        sys.exit(show(project, as_json=as_json))
    where = paths.find()
    code, data = _look(where)
    if as_json:
        click.echo(json.dumps(data))
    else:
        for line in [*_lines(data), *_of_the_configuration(where, data), *_of_a_project()]:
            screen.say(line)
    sys.exit(code)


def _look(where: paths.Paths) -> tuple[int, dict[str, object]]:
    state = instance.look(where)
    match state.condition:
        case instance.Condition.UNKNOWN:
            return _UNKNOWN, {"state": "unknown", "error": state.why}
        case instance.Condition.STOPPED:
            return _STOPPED, {"state": "stopped", **switches_of(where).state()}
        case instance.Condition.CRASHED:
            return _CRASHED, {
                "state": "crashed",
                "pid": state.pid,
                "since": state.since,
                **switches_of(where).state(),
            }
        case instance.Condition.RUNNING:
            pass
    data: dict[str, object] = {"state": "running", "pid": state.pid, "since": state.since}
    try:
        answer = client.ask(where.inbox, wire.Status())
    except NotRunning as error:
        # It holds its lock, so it lives; that it does not answer is worth knowing.
        return _UNKNOWN, {**data, "state": "unknown", "error": f"it holds its lock, but {error}"}
    if isinstance(answer, dict):
        data.update(answer)
    return _RUNNING, data


def _lines(data: dict[str, object]) -> list[str]:
    match data["state"]:
        case "stopped":
            return [f"The agent is not running. Start it with: {how_to_start()}", *held(data)]
        case "crashed":
            died = f"The agent (pid {data['pid']}) has died without a word. Start it again with: {how_to_start()}"
            return [died, *held(data)]
        case "unknown":
            return [f"It cannot be told whether the agent runs: {data['error']}"]
    since = data["since"]
    began = day_and_time(since) if isinstance(since, float) else "?"
    watched = f"{_number(data, 'sessions', 'session')} with {_number(data, 'processes', 'process')}"
    lines = [
        f"The agent runs (pid {data['pid']}, since {began}, version {clean(str(data.get('version')))}).",
        f"It hears of births and deaths by {data.get('source')}{_because(data)}.",
        f"It watches {watched}; {_number(data, 'cleaned', 'clean-up')} since its start.",
    ]
    if data.get("safe"):
        lines.append(f"Safe mode: {clean(str(data['safe']), 400)}. It only observes; see sentinel doctor.")
    elif data.get("mode") == "observe":
        lines.append('It only observes: nothing is ended (mode = "observe").')
    lines += held(data)
    if data.get("kept"):
        lines.append(f"It leaves {_number(data, 'kept', 'kept process')} alone: see sentinel keep.")
    if data.get("dead"):
        lines.append(f"Of {_number(data, 'dead', 'dead session')} something is left: see sentinel sessions.")
    if data.get("unwatched"):
        lines.append(f"Not watched: {clean(str(data['unwatched']), 400)}")
    if data.get("refused"):
        lines.append(f"The configuration is wrong, and the one before it holds: {clean(str(data['refused']), 400)}")
    lines += [f"Trouble: {clean(str(data[key]), 400)}" for key in ("trouble", "switch_trouble") if data.get(key)]
    return lines


def _of_the_configuration(where: paths.Paths, data: dict[str, object]) -> list[str]:
    """One that the agent has not read yet is wrong all the same: the next start fails."""
    from sentinel import config

    try:
        config.load(where.config_file)
    except ConfigError as error:
        told = data.get("refused") == str(error)
        return [] if told else [f"The configuration on the disk cannot be used: {clean(str(error), 400)}"]
    return []


def _of_a_project() -> list[str]:
    """Who stands in a project may have meant that one."""
    from sentinel.environments.project import find

    try:
        project = find(os.getcwd())
    except (SentinelError, OSError):
        return []
    return [f"For the project {clean(project.name)}, in which you are: sentinel status ."]


def _because(data: dict[str, object]) -> str:
    why = data.get("why_not_better")
    return f" ({clean(str(why))})" if why else ""


def _number(data: dict[str, object], key: str, noun: str) -> str:
    value = data.get(key)
    return count(value if isinstance(value, int) else 0, noun)
