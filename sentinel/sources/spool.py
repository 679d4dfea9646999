"""Reads what the hooks of coding agents left while nobody listened: one file a call.

Each is whole, for it was renamed into place. It is taken away once it was read, so a call may
come twice when the agent is killed in between, and is never lost.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

import msgspec

from sentinel import atomic, wire
from sentinel.bus import Bus
from sentinel.core.events import EventsLost, FileChanged, HookLeft, SourceDegraded
from sentinel.sources.files import FileSource

NAME = re.compile(r"(?P<at>[0-9]{20})-[0-9]{1,10}\.json", re.ASCII)
"""What a call is called: when it was left, in nanoseconds since the epoch, and by which process."""


class SpoolSource:
    """Publishes ``HookLeft`` for each call that hooks left, in the order in which they fired.

    Args:
        bus: Where events go.
        watches: Where the directory is watched.
        path: The spool, in a directory that is ours alone. It is made if need be.
    """

    name = "hook spool"

    def __init__(self, bus: Bus, watches: FileSource, path: Path) -> None:
        self._bus = bus
        self._watches = watches
        self._path = path
        self._running = False
        bus.subscribe(FileChanged, self._changed)
        bus.subscribe(EventsLost, self._lost)

    def start(self) -> None:
        """Watch it, and read what was left before."""
        with suppress(OSError):  # then it cannot be watched, and reading says why
            self._path.mkdir(mode=0o700, exist_ok=True)
            self._close_to_others()
        self._running = True
        self._watches.watch(str(self._path))
        self._read()

    def stop(self) -> None:
        """Read no more."""
        self._running = False
        self._watches.unwatch(str(self._path))

    def _changed(self, event: FileChanged) -> None:
        if event.path.startswith(f"{self._path}/"):
            self._read()

    def _lost(self, _: EventsLost) -> None:
        self._read()

    def _close_to_others(self) -> None:
        """Hooks leave nothing in a directory that is open to others, and tell nobody."""
        found = self._path.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_mode & 0o077:
            self._path.chmod(0o700)

    def _read(self) -> None:
        if not self._running:
            return
        try:
            found = self._path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():  # what is read is taken away
                raise NotADirectoryError(0, "it is no directory of ours")
            names = sorted(name for name in os.listdir(self._path) if NAME.fullmatch(name))
        except OSError as error:
            self._bus.publish(SourceDegraded(self.name, f"the spool cannot be read: {error.strerror}"))
            return
        for name in names:
            self._take(self._path / name)

    def _take(self, file: Path) -> None:
        try:
            request = wire.decode_request(atomic.read_file(file, wire.LIMIT))
        except (OSError, msgspec.MsgspecError, RecursionError):
            request = None  # a message that is none: nobody waits for an answer
        if isinstance(request, wire.Hook):
            self._bus.publish(HookLeft(request.call))
        with suppress(OSError):
            os.unlink(file)
