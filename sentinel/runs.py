"""The marks that ``sentinel run`` leaves while it lives.

An agent that starts later finds such sessions by their own word, not by a guess.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from sentinel.atomic import read_file, replace_file
from sentinel.core.facts import ProcessId
from sentinel.core.sanitise import clean

_NAME = re.compile(r"(?P<pid>[0-9]{1,10})\.json")
_HALF = re.compile(r"[0-9]{1,10}\.json\.(?P<pid>[0-9]{1,10})\.new")
"""What ``replace_file`` writes first, and leaves where its writer is killed meanwhile."""

_LONGEST_PATH = 4096
_BIGGEST = 8 * _LONGEST_PATH


class Mark(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One running ``sentinel run``: who it is, and what it was asked to call itself."""

    boot: str
    pid: int
    start: int
    name: str
    directory: str
    command: int = 0
    """The pid of the command it runs; 0 before that is started."""
    group: str = ""
    """Path of the control group that it made for the command; empty when it made none."""

    @property
    def root(self) -> ProcessId:
        """The wrapper's identity."""
        return ProcessId(self.pid, self.start)


def _file(runtime: Path, pid: int) -> Path:
    return runtime / "runs" / f"{pid}.json"


def write(runtime: Path, mark: Mark) -> None:
    """Leave or replace the mark; readers see the old one or the new one, never half.

    Names are cleaned on the way: what a path may hold, a line of JSON may not.

    Raises:
        OSError: It cannot be written.
    """
    shown = replace(mark, name=clean(mark.name), directory=clean(mark.directory, _LONGEST_PATH))
    path = _file(runtime, mark.pid)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, msgspec.json.encode(shown))


def erase(runtime: Path, pid: int) -> None:
    """Take the mark away; nothing happens when there is none."""
    with contextlib.suppress(OSError):
        _file(runtime, pid).unlink()


def read(runtime: Path, pid: int) -> Mark | None:
    """The mark of one wrapper; None when there is none or it cannot be read."""
    try:
        mark = msgspec.json.decode(read_file(_file(runtime, pid), _BIGGEST), type=Mark)
    except (OSError, msgspec.MsgspecError):
        return None
    return mark if mark.pid == pid else None


def marks(runtime: Path) -> Iterator[Mark]:
    """Every mark that can be read, of the living and of the dead."""
    for pid in pids(runtime):
        if (mark := read(runtime, pid)) is not None:
            yield mark


def pids(runtime: Path) -> list[int]:
    """Of whom there are marks. None of them is read (5 us for a few)."""
    return [int(found["pid"]) for name in _names(runtime) if (found := _NAME.fullmatch(name)) is not None]


def illegible(runtime: Path) -> Iterator[tuple[int, Path]]:
    """Marks that were not written to their end, or that nobody here understands: who has left each, and where it lies.

    A version of Sentinel that knows more of a run writes such ones, and so does a full disk.
    """
    for name in _names(runtime):
        if (half := _HALF.fullmatch(name)) is not None:
            yield int(half["pid"]), runtime / "runs" / name
        elif (whole := _NAME.fullmatch(name)) is not None and read(runtime, int(whole["pid"])) is None:
            yield int(whole["pid"]), runtime / "runs" / name


def discard(path: Path) -> None:
    """Take away what is ``illegible``, if it can be."""
    with contextlib.suppress(OSError):
        path.unlink()


def _names(runtime: Path) -> list[str]:
    try:
        return os.listdir(runtime / "runs")
    except OSError:
        return []
