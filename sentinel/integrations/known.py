"""Whose configuration Sentinel can be written into."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from sentinel.integrations.plan import Integration

INTEGRATIONS: Mapping[str, str] = {
    "claude": "sentinel.integrations.claude",
    "codex": "sentinel.integrations.codex",
    "tmux": "sentinel.integrations.tmux_everywhere",
}
"""A module each, which exports ``integration`` (``integrations.plan.Integration``)."""


def integration(name: str) -> Integration:
    """The one of this name. Imported now: most are not needed."""
    found: Integration = importlib.import_module(INTEGRATIONS[name]).integration
    return found
