"""Directories watched through watchdog's reader of the kernel's inotify queue: one thread in all.

watchdog 7.1.0 has two floors. Its ``Observer`` starts a thread for each watch, holds back
for half a second whatever comes after a rename out of the directory, and when the kernel
dropped events it says so to a log alone. All three are the upper floor's: ``InotifyFD``
below takes callbacks, one of which is told of the overflow. So the callbacks here stand on
the lower floor.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

_ADDED_TO_THE_KERNELS = (
    InotifyConstants.IN_ONLYDIR  # a path that became a file or a symlink is refused: ENOTDIR
    | InotifyConstants.IN_DONT_FOLLOW
    | InotifyConstants.IN_MASK_ADD  # two spellings of one directory share a watch; the later must not narrow it
)
_NAMES = (
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
)
_MOVED_AWAY = InotifyConstants.IN_MOVE_SELF
_WRITTEN = InotifyConstants.IN_CLOSE_WRITE
_STOP_PATIENCE = 2.0
"""Seconds. The reader ends at once; it is a daemon thread should it ever not."""


class InotifyWatcher:
    """Tells what appears, vanishes or is renamed in directories; reading a file is no event.

    Args:
        changed: Called in the reader's thread with the path of an entry, or with the path
            of the directory itself when that is gone from there. Must not raise: that would end the thread.
        lost: Called in the reader's thread when the kernel's queue overflowed.

    Raises:
        OSError: No inotify instance (EMFILE) or no thread (EAGAIN) is to be had.
    """

    def __init__(self, changed: Callable[[str], None], lost: Callable[[], None]) -> None:
        self._changed = changed
        self._lost = lost
        self._directories: dict[str, _Directory] = {}
        self._reader = InotifyFD()
        self._reader.name = "files"
        try:
            self._reader.start()
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, str(error)) from error

    def add(self, directory: str, *, writes: bool) -> None:
        """Watch ``directory``, with ``writes`` also each file in it that is closed after writing.

        Adding it again takes the place of what was there, without a gap.

        Raises:
            OSError: It is no directory, not readable, or the limit of watches is reached (ENOSPC).
        """
        fresh = _Directory(directory, writes=writes, changed=self._changed, lost=self._lost)
        fresh.enter(self._reader)
        self.remove(directory)
        self._directories[directory] = fresh

    def remove(self, directory: str) -> None:
        """Stop watching; nothing when it is not watched."""
        former = self._directories.pop(directory, None)
        if former is not None:
            former.leave(self._reader)

    def holds(self, directory: str) -> bool:
        """Whether the kernel still watches what ``directory`` was when it was added."""
        return directory in self._directories and self._directories[directory].watched

    def alive(self) -> bool:
        """Whether the reader's thread runs."""
        return self._reader.is_alive()

    def stop(self) -> None:
        """Forget every directory and end the thread."""
        for directory in list(self._directories):
            self.remove(directory)
        self._reader.stop()
        self._reader.join(_STOP_PATIENCE)


class _Directory:
    """One directory's callback (watchdog's ``WatchCallback``)."""

    def __init__(self, path: str, *, writes: bool, changed: Callable[[str], None], lost: Callable[[], None]) -> None:
        self._path = os.fsencode(path)
        self._mask = _NAMES | _MOVED_AWAY | (_WRITTEN if writes else 0)
        self._changed = changed
        self._lost = lost
        self._watch: WatchDescriptor | None = None
        self._id = CallbackId(id(self))

    @property
    def watched(self) -> bool:
        return self._watch is not None

    def enter(self, reader: InotifyFD) -> None:
        self._watch = reader.add_callback(self._path, Mask(self._mask | _ADDED_TO_THE_KERNELS), self, self._id)
        if self._watch < 0:  # watchdog passes over EACCES in silence, with a watch that is none
            self.leave(reader)
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def leave(self, reader: InotifyFD) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            reader.remove_callbacks([(watch, self._id)])

    def on_event(self, event: InotifyEvent) -> None:
        if not event.mask & self._mask:
            return  # somebody else's wish, for the same directory under another name
        self._changed(os.fsdecode(os.path.join(self._path, event.name) if event.name else self._path))

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:  # noqa: ARG002 - watchdog's signature
        """It was removed or unmounted."""
        self._watch = None
        self._changed(os.fsdecode(self._path))

    def on_queue_overflow(self) -> None:
        self._lost()
