"""Whom the marks of ``sentinel run`` speak of: by a mark alone nobody is believed to be a wrapper."""

from __future__ import annotations

from pathlib import Path

from sentinel import runs
from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.observe import processes


def was_left_by(mark: runs.Mark, who: ProcessId | Gone | Unknown) -> bool:
    """Whether the mark was left by ``who``, in this boot."""
    return mark.boot == processes.boot_id() and who == mark.root


def command_of(runtime: Path, pid: int) -> int | None:
    """The pid of the command that the wrapper ``pid`` runs: 0 before it has said so; None: it is no wrapper."""
    mark = runs.read(runtime, pid)
    return mark.command if mark is not None and was_left_by(mark, processes.identify(pid)) else None
