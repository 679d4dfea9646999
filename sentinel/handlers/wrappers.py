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
    """The pid of the command that the wrapper ``pid`` runs; None: it is no wrapper.

    0 before it has said so, and where nobody can tell whether it is one.
    """
    mark = runs.read(runtime, pid)
    if mark is None:
        return 0 if pid in runs.pids(runtime) else None  # there is one, and it cannot be read
    who = processes.identify(pid)
    if isinstance(who, Unknown):
        return 0
    return mark.command if was_left_by(mark, who) else None
