"""Tells what appears, vanishes or is renamed in the directories that somebody asked for.

Wish and fact are kept apart: a directory that cannot be watched now (not there, no watch to
be had, replaced by another one) stays wished for, and ``check`` takes it up when it can.

Measured with watchdog 7.1.0 on Linux: one thread, 20 kB for 20 directories, no wake-up while
nothing happens. watchdog's own observer needs a thread more for each directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sentinel.bus import Bus
from sentinel.core.events import EventsLost, FileChanged, SourceDegraded

_PAUSE = 0.005
"""Seconds of rest after each batch: a storm costs 200 batches a second, a lone event waits for nothing."""
_MANY = 512
"""Paths in a batch; beyond that a look at everything is cheaper than a look at each."""
_LOSS_PAUSE = 1.0
"""Seconds between two words on lost events, since each makes everybody look at everything."""

_OVERFLOW = "the kernel's queue of file events overflowed"
_FLOOD = f"more than {_MANY} files changed at once"
_LATE = "a directory was not watched for a while"
_DIED = "the thread that watches files had died and was started anew"
_LIMITS = {
    errno.ENOSPC: "no further directory can be watched: fs.inotify.max_user_watches is reached",
    errno.EMFILE: "no directory can be watched: fs.inotify.max_user_instances or the limit of open files is reached",
    errno.ENFILE: "no directory can be watched: the system has no open file left",
    errno.ENOMEM: "no further directory can be watched: the kernel has no memory for it",
    errno.EAGAIN: "no directory can be watched: no thread can be started",
}


class Watcher(Protocol):
    """What watches directories on a platform."""

    def add(self, directory: str, *, writes: bool) -> None:
        """Watch it; what was added before under this name is replaced. Raises OSError."""

    def remove(self, directory: str) -> None:
        """Stop watching; nothing when it is not watched."""

    def holds(self, directory: str) -> bool:
        """Whether the kernel still watches what ``directory`` was when it was added."""

    def alive(self) -> bool:
        """Whether the threads run."""

    def stop(self) -> None:
        """Forget everything and end the threads."""


def best_watcher(changed: Callable[[str], None], lost: Callable[[], None]) -> Watcher:
    """The watcher for this platform.

    Raises:
        OSError: The kernel has none to give.
    """
    if sys.platform == "linux":
        from sentinel.sources.inotify import InotifyWatcher  # cannot be imported elsewhere

        return InotifyWatcher(changed, lost)
    from sentinel.sources.observer import ObserverWatcher

    return ObserverWatcher(changed)


@dataclass(slots=True)
class _Wish:
    """A directory that somebody wants watched."""

    count: int = 0
    writes: bool = False
    identity: tuple[int, int] | None = None
    """Device and inode of what was taken up; None when that failed."""
    was_there: bool = False
    """It was there once since it was wished for: somebody may have looked at what it held."""


class FileSource:
    """Publishes ``FileChanged`` for entries of the wished directories, in the loop's thread.

    A path that changes many times in one batch is told once. What the kernel dropped, or
    what is too much to tell, becomes ``EventsLost``, told once a second at most and always
    after the last loss. Nothing runs before the first wish.

    Args:
        bus: Where events go.
        loop: The loop in whose thread they are published, and all methods are called.
        watcher: Makes the platform's watcher.
    """

    name = "files"

    def __init__(
        self,
        bus: Bus,
        loop: asyncio.AbstractEventLoop,
        watcher: Callable[[Callable[[str], None], Callable[[], None]], Watcher] = best_watcher,
    ) -> None:
        self._bus = bus
        self._loop = loop
        self._new_watcher = watcher
        self._watcher: Watcher | None = None
        self._wishes: dict[str, _Wish] = {}
        self._said: set[str] = set()
        self._running = False
        self._timer: asyncio.TimerHandle | None = None
        self._next_loss = 0.0
        self._lock = threading.Lock()  # guards the four below, which the watcher's thread shares
        self._paths: dict[str, None] = {}
        self._loss = ""
        self._due = False
        self._open = False

    # -- asked, in the loop's thread -----------------------------------------------

    def start(self) -> None:
        """Take up the wishes."""
        # What its warnings say of the kernel's queue is told as events, not on the user's terminal.
        logging.getLogger("watchdog").setLevel(logging.CRITICAL)
        self._running = self._open = True
        for directory, wish in self._wishes.items():
            self._take_up(directory, wish)

    def stop(self) -> None:
        """Tell nothing any more and end the watcher's thread. The wishes stay."""
        self._running = False
        with self._lock:
            self._open = self._due = False
        if self._timer is not None:
            self._timer.cancel()
        self._drop_watcher()

    def watch(self, directory: str, *, writes: bool = False) -> bool:
        """Wish for ``directory`` (absolute; events carry it spelled as here), once more.

        ``writes`` asks also for files closed after writing, for everybody who wished for it.
        False: it is not watched now; the wish stands all the same, until ``unwatch``.
        """
        known = self._wishes.get(directory)
        wish = known or self._wishes.setdefault(directory, _Wish())
        wish.count += 1
        widened = writes and not wish.writes
        wish.writes |= writes
        self._revive()
        if known is None or widened:
            return self._take_up(directory, wish)
        return self._verify(directory, wish)

    def unwatch(self, directory: str) -> None:
        """Take one wish back; with the last one the watching ends."""
        wish = self._wishes.get(directory)
        if wish is None:
            return
        wish.count -= 1
        if wish.count == 0:
            del self._wishes[directory]
            if self._watcher is not None:
                self._watcher.remove(directory)

    def check(self) -> None:
        """Find out what went wrong unnoticed, and mend it: dead threads, replaced directories.

        Costs one lstat for each directory. It is needed: a removed directory lives on for
        the kernel while it is some process's working directory, and nothing is told.
        """
        self._revive()
        for directory, wish in list(self._wishes.items()):
            before = wish.identity
            if not self._verify(directory, wish) and before is not None:
                self._changed(directory)

    # -- wish and fact -------------------------------------------------------------

    def _verify(self, directory: str, wish: _Wish) -> bool:
        """Whether it is watched; if it was not, it is taken up, and what happened before is lost.

        Nothing is lost of one that was never there before: all that happened is what is in it now.
        """
        held = wish.identity is not None and self._watcher is not None and self._watcher.holds(directory)
        if held and wish.identity == _identity(directory):
            return True
        if self._watcher is not None:
            self._watcher.remove(directory)
        is_new = not wish.was_there
        if not self._take_up(directory, wish):
            return False
        if not is_new or not self._tell_all_of(directory):
            self._lost(_LATE)
        return True

    def _tell_all_of(self, directory: str) -> bool:
        """Tell of everything in it. False: it cannot be listed."""
        try:
            names = os.listdir(directory)
        except OSError:
            return False
        for name in names:
            self._changed(os.path.join(directory, name))
        return True

    def _take_up(self, directory: str, wish: _Wish) -> bool:
        wish.identity = None
        # Asked before it is watched: should it be replaced in between, the next check sees that.
        identity = _identity(directory)
        wish.was_there |= identity is not None
        if identity is None or not self._running:
            return False
        try:
            if self._watcher is None:
                self._watcher = self._new_watcher(self._changed, self._overflowed)
            self._watcher.add(directory, writes=wish.writes)
        except OSError as error:
            if error.errno in _LIMITS:
                self._degraded(_LIMITS[error.errno])
            return False
        wish.identity = identity
        return True

    def _revive(self) -> None:
        if self._watcher is None or self._watcher.alive():
            return
        self._drop_watcher()
        self._degraded(_DIED)
        self._lost(_DIED)
        for directory, wish in self._wishes.items():
            self._take_up(directory, wish)

    def _drop_watcher(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            with contextlib.suppress(OSError):  # a dead one may have lost its descriptor
                watcher.stop()

    def _degraded(self, why: str) -> None:
        if why not in self._said:
            self._said.add(why)
            self._bus.publish(SourceDegraded(self.name, why))

    # -- told, in any thread -------------------------------------------------------

    def _changed(self, path: str) -> None:
        with self._lock:
            if path in self._paths or len(self._paths) < _MANY:
                self._paths[path] = None
            else:
                self._loss = _FLOOD
        self._wake()

    def _overflowed(self) -> None:
        self._lost(_OVERFLOW)

    def _lost(self, why: str) -> None:
        with self._lock:
            self._loss = why
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._due or not self._open:
                return
            self._due = True
        with contextlib.suppress(RuntimeError):  # the loop was closed before us
            self._loop.call_soon_threadsafe(self._flush)

    # -- published, in the loop's thread -------------------------------------------

    def _flush(self) -> None:
        """Publish a batch and rest; with nothing to publish, sleep until the next wake-up."""
        paths, why = self._take_batch()
        if not self._due:
            return
        try:
            for path in paths:
                if (wish := self._wishes.get(path)) is not None:
                    self._verify(path, wish)
                self._bus.publish(FileChanged(path))
            if why:
                self._bus.publish(EventsLost(self.name, why))
        finally:
            self._timer = self._loop.call_later(_PAUSE, self._flush)

    def _take_batch(self) -> tuple[dict[str, None], str]:
        with self._lock:
            paths, self._paths = self._paths, {}
            why, now = "", self._loop.time()
            if self._loss and now >= self._next_loss:
                why, self._loss = self._loss, ""
                self._next_loss = now + _LOSS_PAUSE
            self._due = self._open and bool(paths or why or self._loss)
            return paths, why


def _identity(directory: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(directory)
    except (OSError, ValueError):  # ValueError: a path with a NUL in it
        return None
    return found.st_dev, found.st_ino
