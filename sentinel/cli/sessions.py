"""``sentinel sessions``: what the agent watches."""

from __future__ import annotations

import json
import time
from collections import Counter

import click

from sentinel import client, paths, wire
from sentinel.cli import screen, times
from sentinel.cli.switching import held, switches_of
from sentinel.core.sessions import Kind
from sentinel.errors import NotRunning
from sentinel.service.installed import how_to_start

Session = dict[str, object]
"""As the agent tells of one."""

_COLUMNS = ("SESSION", "KIND", "PROCESSES", "AGE", "STATE", "DIRECTORY")
_MOST_NAMES = 3
"""Of a server's sessions."""
_YIELDING = (5, 4, 1, 0)
"""Which of them give way on a narrow terminal, in this order."""


@click.command("sessions")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def command(*, as_json: bool) -> None:
    """List the sessions that the agent watches, and the dead ones that left something.

    The number in a session's name is the PID of its root.

    Exit status 3 when no agent runs.
    """
    where = paths.find()
    try:
        answer = client.ask(where.inbox, wire.Sessions())
    except NotRunning as error:
        raise NotRunning(f"{error}: nothing is watched. Start it with: {how_to_start()}") from error
    sessions = answer if isinstance(answer, list) else []
    if as_json:
        click.echo(json.dumps(sessions))
        return
    for line in held(switches_of(where).state()):
        screen.say(line)
    if not sessions:
        click.echo("No session is watched now.")
        return
    servers = _servers(sessions)
    for line in screen.table([_COLUMNS, *(_row(session, servers) for session in sessions)], screen.width(), _YIELDING):
        click.echo(line)
    if not all(session["alive"] for session in sessions):
        screen.say("What the dead left is shown, and ended when you say so, by: sentinel clean")


def _row(session: Session, servers: dict[str, str]) -> tuple[str, ...]:
    return (
        str(session["id"]),
        _kind(session, servers),
        str(session["processes"]),
        _since(session),
        _state(session),
        str(session["directory"]),
    )


def _kind(session: Session, servers: dict[str, str]) -> str:
    """``tmux (work, play)``, ``pane of work (default)``: with the names that tmux shows, where they are known."""
    kind = str(session["session_kind"])
    if kind == Kind.PANE and (server := servers.get(str(session.get("outer")))):
        inside = session.get("tmux_session")
        return f"pane of {inside} ({server})" if inside else f"pane of {server}"
    names = session.get("tmux_sessions")
    if not isinstance(names, list) or not names:
        return kind
    shown = [str(name) for name in names[:_MOST_NAMES]]
    return f"{kind} ({', '.join(shown)}{', ...' if len(names) > _MOST_NAMES else ''})"


def _servers(sessions: list[Session]) -> dict[str, str]:
    """What to call each tmux server, by its key: its name, or its id where two have the same name."""
    found = [session for session in sessions if session["session_kind"] == Kind.TMUX]
    names = Counter(session.get("name") for session in found)
    return {
        str(session.get("key")): str(session["name" if names[session.get("name")] == 1 else "id"]) for session in found
    }


def _since(session: Session) -> str:
    if not session["alive"]:
        dead_for = session.get("dead_for")
        return f"dead {times.age(dead_for) if isinstance(dead_for, float) else '?'}"
    born = session["born"]
    return times.age(time.time() - born) if isinstance(born, float) else "?"


def _state(session: Session) -> str:
    state = "alive" if session["alive"] else str(session["death"]).removeprefix("was ")
    if session.get("kept"):
        return f"{state}, kept"
    return f"{state}, {kept} kept" if (kept := session.get("kept_processes")) else state
