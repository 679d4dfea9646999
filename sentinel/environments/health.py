"""How a project is: healthy, in part, stopped; and what needs to be cleaned up."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from sentinel.core.facts import Unknown
from sentinel.core.sentences import count
from sentinel.environments import wording
from sentinel.environments.scene import OVERMIND, Survey


class Health(StrEnum):
    """The whole of it in one word."""

    HEALTHY = "healthy"
    PARTIAL = "partial"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


def health(seen: Survey) -> Health:
    """How a project is, by one look at it."""
    if isinstance(seen.ports, Unknown) and seen.project.ports:
        return Health.UNKNOWN
    if seen.manager is None:
        return Health.PARTIAL if seen.serves else Health.STOPPED
    return Health.PARTIAL if list(faults(seen)) else Health.HEALTHY


def faults(seen: Survey) -> Iterator[str]:
    """What a running project lacks."""
    manager = seen.manager
    if manager is None:
        yield "nothing stands over its processes: whatever did has ended"
    elif manager.kind == OVERMIND and not manager.socket:
        yield f"Overmind (pid {manager.facts.id.pid}) has lost its socket: nobody can reach it"
    elif manager.kind == OVERMIND and not any(server.managed for server in seen.servers):
        yield f"Overmind (pid {manager.facts.id.pid}) has no tmux server"
    if isinstance(seen.ports, Unknown):
        return
    strangers = seen.strangers
    for port, held in seen.ports.items():
        if port in strangers:
            yield f"port {port} is held by {wording.holder(strangers[port])}"
        elif not held:
            yield f"nobody listens on port {port}"


def leftovers(seen: Survey) -> Iterator[str]:
    """What lies around of it and is in the way."""
    if seen.stale_socket:
        yield "a stale socket"
    if zombies := seen.zombies:
        names = ", ".join(server.label for server in zombies)
        yield f"{count(len(zombies), 'tmux server')} whose Overmind has ended: {names}"
    if strays := seen.strays:
        yield f"{count(len(strays), 'process')} that nothing stands over any more"
    files = len(seen.dead_sockets) + len(seen.directories)
    if seen.manager is None and files:
        yield count(files, "file of tmux or Overmind that nobody holds", "files of tmux and Overmind that nobody holds")
