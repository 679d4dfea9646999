"""What a coding agent tells through its own hooks."""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.core.facts import ProcessId

NOT_THE_END = frozenset({"clear", "resume"})
"""Reasons of a ``SessionEnd`` after which the same process goes on with another conversation."""


@dataclass(frozen=True, slots=True)
class HookCall:
    """One hook that fired, as it says itself. A hint to look: nothing in here is proven."""

    id: str
    """Names this call: one that was not answered in time comes twice."""
    agent: str
    event: str
    """As the agent calls it: ``SessionStart``."""
    at: float
    """Wall-clock seconds since the epoch."""
    boot: str = ""
    chain: tuple[ProcessId, ...] = ()
    """The hook's parent, that one's parent, and so on, as they were when it fired."""
    conversation: str = ""
    """What the agent calls its session."""
    detail: str = ""
    """The source of a start, the reason of an end."""
    tasks: tuple[str, ...] = ()
    """What runs in the background, in the agent's words. Told with Stop and SubagentStop."""
    marks: tuple[tuple[str, str], ...] = ()
    """Variables of its environment that name its agent, with their values."""
    trouble: str = ""
    """Why its payload says nothing."""
