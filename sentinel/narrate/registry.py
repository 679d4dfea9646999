"""What registered sessions said of themselves, and what became of the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sentinel.core.sentences import count
from sentinel.narrate.words import Data, pid


def _registered(data: Data) -> str:
    where = f" in {data['project']}" if data["project"] else ""
    return f"{data['session']} has registered: {data['kind']}{where}, {pid(data['root'])}"


def _child_named(data: Data) -> str:
    return f"{data['session']} calls {pid(data['process'])} its own{'' if data['own'] else ' no more'}"


def _registration_ended(data: Data) -> str:
    return f"{data['session']} is no longer registered: {data['why']}"


def _registry_rebuilt(data: Data) -> str:
    found = f"{count(data['active'], 'session')} and {count(data['ended'], 'ended one')}"
    trouble = f" ({data['trouble']})" if data["trouble"] else ""
    where = f"set aside as {data['aside']}, and rebuilt with {found}{trouble}"
    return f"the registry was damaged, {where}: {data['damage']}"


def _session_released(data: Data) -> str:
    return f"{data['session']['id']} is watched no more: it said that it is over, and its process goes on"


SENTENCES: Mapping[str, Callable[[Data], str]] = {
    "registry.entry": _registered,
    "registry.child": _child_named,
    "registry.ended": _registration_ended,
    "registry.rebuilt": _registry_rebuilt,
    "session.released": _session_released,
}
