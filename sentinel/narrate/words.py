"""Words that sentences about records have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Data = Mapping[str, Any]


def duration(seconds: float) -> str:
    """``4 ms`` or ``2.1 s``."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def pid(identity: str) -> str:
    """``pid 4231`` for ``4231@99881``: the start time is for machines."""
    return f"pid {identity.partition('@')[0]}"


def first(evidence: Sequence[str]) -> str:
    """The sentence that says most."""
    return evidence[0] if evidence else "no evidence was recorded"


def listed(parts: Sequence[str]) -> str:
    """``one, two and three``; what is empty is left out."""
    said = [part for part in parts if part]
    return " and ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said)


def left_out(data: Data) -> str:
    """How much of a record had no room in the journal."""
    number = sum(value for key, value in data.items() if key.endswith("_left_out"))
    return f" (and {number} more, for which the journal had no room)" if number else ""
