"""Tells the agent of a change in the registry, and hears what it does not believe of it."""

from __future__ import annotations

from pathlib import Path

from sentinel.core.sanitise import clean
from sentinel.errors import NotRunning

_PATIENCE = 0.3
"""Seconds for the agent to say that it has heard. It looks at the registry at its start, too."""
_LONGEST = 400
"""Characters of a reason."""


def tell(inbox: Path, session: str) -> object | None:
    """Have the agent look at a session. What it answers; None when no agent has heard.

    Raises:
        SentinelError: It refuses, with its sentence.
    """
    from sentinel import client, wire

    try:
        return client.ask(inbox, wire.Enlisted(session), _PATIENCE)
    except NotRunning:
        return None


def doubt(answer: object, pid: int) -> str:
    """Why the agent does not believe that a process is the session's; empty when it does, or has not heard."""
    doubts = answer.get("doubts") if isinstance(answer, dict) else None
    why = doubts.get(str(pid)) if isinstance(doubts, dict) else None
    return clean(str(why), _LONGEST) if why else ""
