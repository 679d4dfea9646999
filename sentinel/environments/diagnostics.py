"""What a person wants to see when a start has failed: all that is known, with nothing asked that may hang."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from sentinel.core.facts import Gone, Unknown
from sentinel.core.sanitise import clean
from sentinel.environments import logs, wording
from sentinel.environments.launch import logs_of
from sentinel.environments.project import Project
from sentinel.environments.scene import Server, Survey
from sentinel.observe import tmux
from sentinel.paths import Paths

_ANSWER = 1.0
"""Seconds that tmux may take for an answer."""
_LINES = 50
_LONGEST = 400


def diagnostics(where: Paths, seen: Survey) -> Iterator[str]:
    """Line by line: socket, manager, sessions, windows, ports, and the end of each log."""
    yield f"--- diagnostics of {clean(seen.project.name)} ---"
    yield f"socket {clean(seen.project.socket, _LONGEST)}: {_socket(seen)}"
    managers = [f"{wording.MANAGERS[one.kind]} (pid {one.facts.id.pid})" for one in seen.managers]
    yield f"stands over it: {', '.join(managers) or 'nobody'}"
    for server in seen.servers:
        yield from _server(server)
    if isinstance(seen.ports, Unknown):
        yield str(seen.ports)
    else:
        for port, held in seen.ports.items():
            yield f"port {port}: {', '.join(map(wording.holder, held)) or 'free'}"
    directory = logs_of(where, seen.project)
    for name in logs.names(directory):
        if not _is_of_now(seen.project, name):
            continue
        yield f"last lines of {clean(os.path.join(directory, name + '.log'), _LONGEST)}:"
        yield from (f"  {line}" for line in logs.tail(directory, name, _LINES) or ["(nothing)"])
    yield "---"


def _is_of_now(project: Project, name: str) -> bool:
    """Whether a log is of what is started now: what an older Procfile named has left some, too."""
    # A command may write its own, where the project file says that logs are.
    own = project.wishes.start and project.wishes.logs
    return bool(own) or name == "manager" or name in project.processes


def _socket(seen: Survey) -> str:
    match seen.socket:
        case Gone():
            return "not there"
        case Unknown() as unknown:
            return str(unknown)
    if not seen.socket.is_socket:
        return "a file, not a socket"
    return (
        str(seen.socket.bound) if isinstance(seen.socket.bound, Unknown) else ("held", "stale")[not seen.socket.bound]
    )


def _server(server: Server) -> Iterator[str]:
    whose = "" if server.managed else ", whose Overmind has ended"
    yield f"tmux server {clean(server.label)} (pid {server.facts.id.pid}){whose}"
    if server.socket is None:
        yield "  its socket is gone"
        return
    sessions = asyncio.run(tmux.list_sessions(server.socket, _ANSWER))
    panes = asyncio.run(tmux.list_panes(server.socket, _ANSWER))
    if isinstance(sessions, Unknown) or isinstance(panes, Unknown):
        yield f"  {sessions if isinstance(sessions, Unknown) else panes}"
        return
    for session in sessions:
        yield f"  session {clean(session.name)} ({session.session_id}), {session.attached} attached"
    for pane in panes:
        yield f"  window {pane.window_id}, pane {pane.pane_id}: {'dead' if pane.dead else f'pid {pane.pid}'}"
