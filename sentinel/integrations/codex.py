"""Codex: ``hooks.json`` of the user. ``config.toml``, which may hold hooks too, is only read.

A hook runs once the user has reviewed it (``/hooks`` in Codex), which is recorded in
``config.toml`` as ``[hooks.state."FILE:EVENT:ENTRY:HOOK"] trusted_hash``. The hash is over the
entry's content and Codex's own business; so what is told here is whether it was reviewed,
and a change of the entry afterwards shows in Codex alone.
Source: developers.openai.com/codex/hooks, and the form of the keys in what Codex 0.169 writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentinel.integrations.hookfile import HookFile
from sentinel.integrations.plan import Host

_REVIEW = "review it in Codex with: /hooks"


def _trust(host: Host, path: Path, places: Mapping[str, int]) -> tuple[bool, str]:
    file = path.with_name("config.toml")
    config = _config(file)
    if _table(config, "features").get("hooks") is False:
        return False, f"[features] hooks is false in {host.show(file)}"
    states = _table(_table(config, "hooks"), "state")
    for event, place in places.items():
        state = _table(states, f"{path}:{_snake(event)}:{place}:0")
        if state.get("enabled") is False:
            return False, f"{event} is switched off in Codex"
        if not state.get("trusted_hash"):
            return False, f"{event} was not reviewed yet; {_REVIEW}"
    return True, ""


def _config(file: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


def _table(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _snake(event: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", event).lower()


integration = HookFile("codex", "Codex", "CODEX_HOME", ".codex", "hooks.json", _trust, f"Codex asks first: {_REVIEW}")
