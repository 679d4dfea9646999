"""The marks that ``sentinel run`` leaves while it lives.

An agent that starts later finds such sessions by their own word, not by a guess.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sentinel.core.facts import ProcessId

_BIGGEST = 4096


class Mark(msgspec.Struct, forbid_unknown_fields=True):
    """One running ``sentinel run``: who it is, and what it was asked to call itself."""

    boot: str
    pid: int
    start: int
    name: str
    directory: str
    command: int = 0
    """The pid of the command it runs; 0 before that is started."""

    @property
    def root(self) -> ProcessId:
        """The wrapper's identity."""
        return ProcessId(self.pid, self.start)


def _file(runtime: Path, pid: int) -> Path:
    return runtime / "runs" / f"{pid}.json"


def write(runtime: Path, mark: Mark) -> None:
    """Leave or replace the mark; readers see the old one or the new one, never half.

    Raises:
        OSError: It cannot be written.
    """
    path = _file(runtime, mark.pid)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, msgspec.json.encode(mark))
    finally:
        os.close(fd)
    fresh.replace(path)


def erase(runtime: Path, pid: int) -> None:
    """Take the mark away; nothing happens when there is none."""
    with contextlib.suppress(OSError):
        _file(runtime, pid).unlink()


def read(runtime: Path, pid: int) -> Mark | None:
    """The mark of one wrapper; None when there is none or it cannot be read."""
    try:
        fd = os.open(_file(runtime, pid), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return msgspec.json.decode(os.read(fd, _BIGGEST), type=Mark)
    except (OSError, msgspec.MsgspecError):
        return None
    finally:
        os.close(fd)


def marks(runtime: Path) -> Iterator[Mark]:
    """Every mark that can be read, of the living and of the dead."""
    try:
        names = os.listdir(runtime / "runs")
    except OSError:
        return
    for name in names:
        stem, dot, ending = name.partition(".")
        if dot and ending == "json" and stem.isdigit() and (mark := read(runtime, int(stem))) is not None:
            yield mark
