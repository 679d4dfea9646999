"""Reads the hints file: one line for each tmux hook that fired.

The hooks append with one line of sh and never wait. A hint says "look at tmux now" and no
more: at kill-server none of 60 arrives. What they write is in ``integrations/tmux.py``.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from sentinel.bus import Bus
from sentinel.core.events import EventsLost, FileChanged, SourceDegraded, TmuxHinted
from sentinel.sources.files import FileSource

_HOOK = re.compile(rb"([a-z-]{1,40}) (\d{1,10})")
"""What a hook writes: its name, and the pid of its server. No name of a person's goes through the shell."""
_ENOUGH = 64 * 1024
"""Bytes of hints: what is read in one go, and what the file may hold when all of it was read."""
_LONGEST = 4096
"""Bytes of a line, or of what has no end of line: more is no hook's."""
_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class HintSource:
    """Publishes ``TmuxHinted`` once for each word that hooks wrote since the last reading.

    Args:
        bus: Where events go.
        watches: Where the file's directory is watched.
        path: The hints file, in a directory that is ours alone. It need not exist yet.
    """

    name = "tmux hints"

    def __init__(self, bus: Bus, watches: FileSource, path: Path) -> None:
        self._bus = bus
        self._watches = watches
        self._path = path
        self._place = (0, 0, 0)
        """Device and inode of the file that was read, and how far."""
        self._refused = False
        self._running = False
        bus.subscribe(FileChanged, self._changed)
        bus.subscribe(EventsLost, self._lost)

    def start(self) -> None:
        """Pass over the hints of before: what they spoke of is being looked at anyway."""
        self._read()
        self._running = True
        self._watches.watch(str(self._path.parent), writes=True)

    def stop(self) -> None:
        """Read no more."""
        self._running = False
        self._watches.unwatch(str(self._path.parent))

    def _changed(self, event: FileChanged) -> None:
        if event.path == str(self._path):
            self._tell()

    def _lost(self, _: EventsLost) -> None:
        self._tell()  # the word on our file may be among what was lost

    def _tell(self) -> None:
        if self._running:
            for hint in self._read():
                self._bus.publish(hint)

    def _read(self) -> list[TmuxHinted]:
        try:
            # Never for writing: closing it would be an event on the file, answered by the next reading.
            fd = os.open(self._path, os.O_RDONLY | _SAFELY)
        except FileNotFoundError:
            return []
        except OSError as error:
            return self._refuse(error.strerror or str(error))
        try:
            return self._news(fd)
        except OSError as error:
            return self._refuse(error.strerror or str(error))
        finally:
            os.close(fd)

    def _news(self, fd: int) -> list[TmuxHinted]:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink > 1:
            return self._refuse("it is not a plain file of ours")
        device, inode, offset = self._place
        if (device, inode) != (found.st_dev, found.st_ino) or offset > found.st_size:
            offset = 0
        start = max(offset, found.st_size - _ENOUGH)
        text = os.pread(fd, found.st_size - start, start)
        whole, _, rest = text.rpartition(b"\n")
        end = start + len(text) - (len(rest) if len(rest) < _LONGEST else 0)
        self._place = (found.st_dev, found.st_ino, end)
        if end > _ENOUGH:
            self._empty()
        lines = whole.split(b"\n")[1 if start > offset else 0 :]  # the first may be the tail of a line
        hooks = (_HOOK.fullmatch(line) for line in lines)
        return list(dict.fromkeys(TmuxHinted(hook[1].decode("ascii"), int(hook[2])) for hook in hooks if hook))

    def _empty(self) -> None:
        """Cut the file, unless it is another one by now or there is more to read.

        A hint written between the last look and the cut is lost, and with it a few
        milliseconds.
        """
        with suppress(OSError):
            fd = os.open(self._path, os.O_WRONLY | _SAFELY)
            try:
                found = os.fstat(fd)
                if (found.st_dev, found.st_ino, found.st_size) == self._place:
                    os.ftruncate(fd, 0)
                    self._place = (found.st_dev, found.st_ino, 0)
            finally:
                os.close(fd)

    def _refuse(self, why: str) -> list[TmuxHinted]:
        if not self._refused:
            self._refused = True
            self._bus.publish(SourceDegraded(self.name, f"the hints file cannot be read: {why}"))
        return []
