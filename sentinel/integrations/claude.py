"""Claude Code: ``settings.json`` of the user, never of a repository.

Hooks of the user's own settings run without being reviewed (2.1.197). They do not where
``disableAllHooks`` is set, or where an administrator allows managed hooks only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from sentinel.integrations.hookfile import HookFile
from sentinel.integrations.plan import Host

MANAGED = ("/etc/claude-code/managed-settings.json", "/Library/Application Support/ClaudeCode/managed-settings.json")
_SWITCHES = ("disableAllHooks", "allowManagedHooksOnly")


def _trust(host: Host, path: Path, places: Mapping[str, int]) -> tuple[bool, str]:  # noqa: ARG001 - one form for all
    for file in (path, *map(Path, MANAGED)):
        try:
            settings = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        for switch in _SWITCHES:
            if isinstance(settings, dict) and settings.get(switch) is True:
                return False, f"{switch} is set in {host.show(file)}"
    return True, ""


integration = HookFile("claude", "Claude Code", "CLAUDE_CONFIG_DIR", ".claude", "settings.json", _trust)
