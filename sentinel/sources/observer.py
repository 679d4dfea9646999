"""Directories watched through watchdog's portable ``Observer``: FSEvents on macOS.

Not used on Linux, where ``sentinel.sources.inotify`` needs fewer threads and hears of lost
events. FSEvents also tells when it dropped some; watchdog 7.1.0 does not pass that on, so
here only the periodic look finds out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

_NAMES: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]
# Only inotify tells that a file was closed after writing.
_WRITTEN = FileClosedEvent if sys.platform == "linux" else FileModifiedEvent
_STOP_PATIENCE = 2.0
"""Seconds. Its threads are daemons should they take longer."""


class ObserverWatcher:
    """One observer; every watch filtered, none recursive, symlinks not followed.

    Without a filter each reading of a file is an event, and with a recursive watch of some
    thousands of directories that feeds on itself for ever (watchdog 7.1.0, inotify).

    Args:
        changed: Called in the observer's thread with the path of an entry, or of the
            directory itself when that is gone.

    Raises:
        OSError: The kernel's facility is not to be had.
    """

    def __init__(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        self._watches: dict[str, ObservedWatch] = {}
        self._observer = Observer()
        self._observer.start()

    def add(self, directory: str, *, writes: bool) -> None:
        """Watch ``directory``, with ``writes`` also each file that was written in it.

        Raises:
            OSError: It cannot be watched.
        """
        if os.path.islink(directory) or not os.path.isdir(directory):
            raise NotADirectoryError(directory)
        wish = [*_NAMES, _WRITTEN] if writes else _NAMES
        former = self._watches.get(directory)
        if former is not None and former.event_filter == frozenset(wish):
            self.remove(directory)  # the same watch, and maybe a dead one: watchdog would keep it
        listener = _Listener(directory, self._changed)
        watch = self._observer.schedule(listener, directory, recursive=False, event_filter=wish, follow_symlink=False)
        self.remove(directory)
        self._watches[directory] = watch

    def remove(self, directory: str) -> None:
        """Stop watching; nothing when it is not watched."""
        watch = self._watches.pop(directory, None)
        if watch is not None:
            self._observer.unschedule(watch)

    def holds(self, directory: str) -> bool:
        """Whether the thread that watches ``directory`` runs: it ends when the directory does."""
        watch = self._watches.get(directory)
        return any(emitter.watch == watch and emitter.is_alive() for emitter in self._observer.emitters)

    def alive(self) -> bool:
        """Whether the thread runs that all events come through."""
        return self._observer.is_alive()

    def stop(self) -> None:
        """Forget every directory and end the threads."""
        self._watches.clear()
        self._observer.stop()
        self._observer.join(_STOP_PATIENCE)


class _Listener(FileSystemEventHandler):
    """Says paths as the directory was spelled, where FSEvents resolves them (/tmp -> /private/tmp)."""

    def __init__(self, directory: str, changed: Callable[[str], None]) -> None:
        self._directory = directory
        self._spellings = {directory, os.path.realpath(directory)}
        self._changed = changed

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in filter(None, (os.fsdecode(event.src_path), os.fsdecode(event.dest_path))):
            if path in self._spellings:
                self._changed(self._directory)
            elif os.path.dirname(path) in self._spellings:
                self._changed(os.path.join(self._directory, os.path.basename(path)))
