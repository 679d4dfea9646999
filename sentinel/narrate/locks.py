"""What became of locks, and of files that were removed and put back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sentinel.narrate.words import Data


def _lock_removed(data: Data) -> str:
    outcome = data["outcome"]
    if outcome["result"] == "removed":
        return f"removed {data['path']}: its holder, {data['holder']}, has ended (sentinel undo brings it back)"
    return f"{data['path']} was left by {data['holder']} and not removed: {outcome['reason'] or outcome['result']}"


def _lock_kept(data: Data) -> str:
    return f"{data['path']} stays: {data['reason']}"


def _file_returned(data: Data) -> str:
    return f"{data['path']} was put back, as its user wished"


SENTENCES: Mapping[str, Callable[[Data], str]] = {
    "lock.removed": _lock_removed,
    "lock.kept": _lock_kept,
    "file.returned": _file_returned,
}
