"""A project's logs: one file a process, read from their ends and followed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sentinel.core.facts import Unknown
from sentinel.core.sanitise import clean
from sentinel.observe.files import names_in

_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_LOOK_EVERY = 0.2
_PIECE = 1 << 16
_MOST = 1 << 20
"""Bytes that are read from the end of a log."""
_LONGEST = 4000
"""Characters of a line that are shown."""


def names(directory: Path) -> list[str]:
    """The processes of which there are logs."""
    found = names_in(str(directory))
    return [] if isinstance(found, Unknown) else [name.removesuffix(".log") for name in found if name.endswith(".log")]


def tail(directory: Path, name: str, lines: int) -> list[str]:
    """The last lines of a log, fit to be shown. A log that cannot be read has none."""
    try:
        with open(directory / f"{name}.log", "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _MOST))
            content = file.read(_MOST)
    except OSError:
        return []
    return [_shown(line) for line in content.splitlines()[-lines:]] if lines else []


def follow(directory: Path, wanted: Sequence[str], lines: int, say: Callable[[str, str], object]) -> Iterator[None]:
    """Say the last lines of each log, then each new one; between two looks the caller has its turn.

    Args:
        directory: Where the logs are.
        wanted: Names of processes; all that are there if none.
        lines: How many old lines of each.
        say: Takes a name and a line.
    """
    followed: dict[str, _Followed] = {}
    while True:
        for name in wanted or names(directory):
            if name not in followed:
                followed[name] = _Followed(directory / f"{name}.log")
                for line in tail(directory, name, lines):
                    say(name, line)
            for line in followed[name].fresh():
                say(name, line)
        yield
        time.sleep(_LOOK_EVERY)


def _shown(line: bytes) -> str:
    """A line without its colours, and harmless."""
    return clean(_COLOUR.sub(b"", line), _LONGEST)


class _Followed:
    """One log, from its present end on. A new start gives its name to a new file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._inode, self._at = self._status()

    def _status(self) -> tuple[int, int]:
        try:
            found = os.stat(self._path)
        except OSError:
            return 0, 0
        return found.st_ino, found.st_size

    def fresh(self) -> Iterator[str]:
        """Whole lines that have come since the last look."""
        inode, size = self._status()
        if inode != self._inode or size < self._at:
            self._inode, self._at, self._rest = inode, 0, b""
        if size == self._at:
            return
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                while piece := file.read(_PIECE):
                    self._at += len(piece)
                    *whole, self._rest = (self._rest + piece).split(b"\n")
                    yield from map(_shown, whole)
        except OSError:
            return
