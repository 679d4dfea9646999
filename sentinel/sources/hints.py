"""Reads the hints file: one line for each tmux hook that fired.

The hooks append with one line of sh and never wait. A hint says "look at tmux now" and no
more: at kill-server none of 60 arrives, and a name in it may be another session's.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sentinel.bus import Bus
from sentinel.core.events import FileChanged, TmuxHinted

_HOOK = re.compile(rb"([a-z-]{1,40})(?:\t[^\n]*)?")
_ENOUGH = 64 * 1024
"""Bytes of hints: what is read in one go, and what the file may hold when all of it was read."""


class Watches(Protocol):
    """Where directories are watched (``sources.files.FileSource``)."""

    def watch(self, directory: str, *, writes: bool = False) -> bool:
        """Publish what changes in it."""

    def unwatch(self, directory: str) -> None:
        """Undo one ``watch``."""


class HintSource:
    """Publishes ``TmuxHinted`` for each hook that wrote its line since the last look."""

    def __init__(self, bus: Bus, watches: Watches, path: Path) -> None:
        self._bus = bus
        self._watches = watches
        self._path = path
        self._place = (0, 0, 0)
        """Device and inode of the file that was read, and how far."""
        bus.subscribe(FileChanged, self.changed)

    def start(self) -> None:
        """Pass over the hints of before: what they spoke of is being looked at anyway."""
        self._read()
        self._watches.watch(str(self._path.parent), writes=True)

    def stop(self) -> None:
        """Read no more."""
        self._watches.unwatch(str(self._path.parent))

    def changed(self, event: FileChanged) -> None:
        """Something in its directory changed: if it is the file, read what is new."""
        if event.path == str(self._path):
            for hook in self._read():
                self._bus.publish(TmuxHinted(hook))

    def _read(self) -> list[str]:
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return []
        try:
            return self._news(fd)
        except OSError:
            return []
        finally:
            os.close(fd)

    def _news(self, fd: int) -> list[str]:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            return []
        device, inode, offset = self._place
        if (device, inode) != (found.st_dev, found.st_ino) or offset > found.st_size:
            offset = 0
        news = os.pread(fd, _ENOUGH, max(offset, found.st_size - _ENOUGH))
        whole = news.rpartition(b"\n")[0]
        end = max(offset, found.st_size - _ENOUGH) + len(whole) + (1 if whole or news.startswith(b"\n") else 0)
        if end > _ENOUGH and end == found.st_size:
            with suppress(OSError):
                os.ftruncate(fd, 0)
                end = 0
        self._place = (found.st_dev, found.st_ino, end)
        lines = whole.split(b"\n") if whole else []
        return [hook[1].decode("ascii") for line in lines if (hook := _HOOK.fullmatch(line))]
