"""``sentinel sessions``: what the agent watches."""

from __future__ import annotations

import json
import time

import click

from sentinel import client, paths, wire
from sentinel.cli.switching import held, switches_of
from sentinel.errors import NotRunning

_COLUMNS = ("SESSION", "KIND", "PID", "PROCESSES", "AGE", "STATE", "DIRECTORY")


@click.command("sessions")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def command(*, as_json: bool) -> None:
    """List the sessions that the agent watches, and the dead ones that left something.

    Exit status 3 when no agent runs.
    """
    where = paths.find()
    try:
        answer = client.ask(where.inbox, wire.Sessions())
    except NotRunning as error:
        raise NotRunning(f"{error}: nothing is watched. Start it with: sentinel agent") from error
    sessions = answer if isinstance(answer, list) else []
    if as_json:
        click.echo(json.dumps(sessions))
        return
    for line in held(switches_of(where).state()):
        click.echo(line)
    if not sessions:
        click.echo("No session is watched now.")
        return
    rows = [_COLUMNS, *(_row(session) for session in sessions)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS) - 1)]
    for row in rows:
        click.echo(
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        )


def _row(session: dict[str, object]) -> tuple[str, ...]:
    state = ("alive" if session["alive"] else str(session["death"])) + (", kept" if session.get("kept") else "")
    born = session["born"]
    return (
        str(session["id"]),
        str(session["session_kind"]),
        str(session["pid"]),
        str(session["processes"]),
        age(time.time() - born) if isinstance(born, float) else "?",
        state,
        str(session["directory"]),
    )


def age(seconds: float) -> str:
    """``47s``, ``12m``, ``3h``, ``2d``: the largest unit that counts."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"
