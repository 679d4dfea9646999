"""Waiting for the journal to grow: woken by file events, and once a second in any case."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

LONGEST_SLEEP = 1.0
"""Seconds. Should an event be lost, the record shows up a second late."""
_POLL_FIRST, _POLL_LAST = 0.005, 0.05
"""Seconds between two looks while nothing wakes us; it grows as long as nothing comes."""


class Waker:
    """Sleeps until something happens in a directory, which need not exist yet."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._woken = threading.Event()
        self._observer: BaseObserver | None = None
        self._unwatchable = False
        self._pause = _POLL_FIRST

    def __enter__(self) -> Self:
        self._watch()
        return self

    def __exit__(self, *_: object) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(LONGEST_SLEEP)

    def clear(self) -> None:
        """Forget what happened up to now. To be called before one looks, so that nothing falls in between."""
        self._woken.clear()

    def sleep(self, longest: float, *, news: bool) -> None:
        """Return when something happened since ``clear``, and after ``longest`` seconds at most.

        Args:
            longest: Seconds.
            news: Whether the last look brought anything; without events that sets the pace.
        """
        if self._observer is None:
            self._watch()
        if self._observer is not None:
            self._woken.wait(min(longest, LONGEST_SLEEP))
            return
        self._pause = _POLL_FIRST if news else min(self._pause * 1.5, _POLL_LAST)
        self._woken.wait(min(longest, self._pause))

    def _watch(self) -> None:
        """Begin to watch, if that is possible now."""
        if self._unwatchable or not os.path.isdir(self._directory):
            return
        from watchdog.events import (
            FileCreatedEvent,
            FileModifiedEvent,
            FileMovedEvent,
            FileSystemEvent,
            FileSystemEventHandler,
        )
        from watchdog.observers import Observer

        _no_delay_after_moves()
        woken = self._woken

        class Wake(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002 - that something happened is all
                woken.set()

        observer = Observer()
        try:
            # Never the default filter: each of our own reads would be an event.
            kinds = [FileModifiedEvent, FileCreatedEvent, FileMovedEvent]
            observer.schedule(Wake(), self._directory, recursive=False, event_filter=kinds)
            observer.start()
        except (OSError, RuntimeError):  # no inotify instance, no watch or no thread left
            self._unwatchable = True
            return
        self._observer = observer
        self._woken.set()  # whatever came before the watch was there


def _no_delay_after_moves() -> None:
    """Have events come at once that follow a file's move out of the directory.

    watchdog 7.1 holds them back for half a second, in the hope for the other half of the move.
    """
    try:
        from watchdog.observers.inotify_move_event_grouper import InotifyMoveEventGrouper
    except ImportError:  # not on Linux, or another version: then a record may come half a second late
        return
    InotifyMoveEventGrouper.delay = 0
