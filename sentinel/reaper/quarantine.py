"""Where removed things are kept for a day, with a note that says what they were.

An entry is a directory ``<utc>-<random>`` that holds ``note.json`` and ``item``. The note is
written before the thing is touched, so that a crash in between leaves nothing unexplained.
Whoever moves the thing holds ``flock`` on the entry until it is through: of a note without
an item whose entry is free, the mover has died half-way (``returns.take_up``).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sentinel.atomic import PLAINLY
from sentinel.core.actions import RemoveDirectory, RemoveLock, RemoveSocket
from sentinel.reaper.openat import Refused

KEPT_SECONDS = 24 * 3600.0
NOTE, ITEM = "note.json", "item"
RETURNED = "returned"
"""Beside the note of what was put back: its device, its inode, and its time of writing."""
ENTRY = re.compile(r"(?P<stamp>\d{8}T\d{6}Z)-[0-9a-f]{16}")
"""The name of an entry."""

_STAMP = "%Y%m%dT%H%M%SZ"
_MOST_FILES = 100
_MOST_BYTES = 1 << 20
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Entry:
    """One thing in quarantine, or on its way there."""

    path: Path
    grip: int
    """Descriptor of its directory, locked."""
    kept: bool = False
    """The thing is in here, or only the note of it is left."""
    spent: bool = False
    """Parts of it exist nowhere but here, since it could not be moved in one step."""

    def take(self, directory: int, name: str) -> None:
        """Move the thing called ``name`` in here.

        Across file systems a socket is only removed, since a dead one holds nothing and
        can be made again; everything else is copied first.

        Raises:
            Refused: It is too big or too odd to be copied, or changed meanwhile.
            OSError: The move failed; ``spent`` tells whether the thing is still whole.
        """
        try:
            os.rename(name, self.path / ITEM, src_dir_fd=directory)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._take_from_afar(directory, name)
        self.kept = True

    def _take_from_afar(self, directory: int, name: str) -> None:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            _copy_one(directory, name, status, self.path / ITEM)
            os.unlink(name, dir_fd=directory)
            return
        fd = os.open(name, PLAINLY | os.O_DIRECTORY, dir_fd=directory)
        try:
            self._copy(fd)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=directory)

    def _copy(self, source: int) -> None:
        """Copy a small tree and empty the original, if nobody wrote to it meanwhile."""
        found = _inventory(source)
        target = self.path / ITEM
        target.mkdir(mode=0o700)
        for name, status in found.items():
            if stat.S_ISDIR(status.st_mode):
                (target / name).mkdir(mode=0o700)
            else:
                _copy_file(source, name, status, target / name)
        if {name: _marks(status) for name, status in _inventory(source).items()} != {
            name: _marks(status) for name, status in found.items()
        }:
            raise Refused("somebody wrote to it while it was copied")
        self.kept = self.spent = True
        for name, status in reversed(found.items()):
            (os.rmdir if stat.S_ISDIR(status.st_mode) else os.unlink)(name, dir_fd=source)

    def close(self) -> None:
        """Forget the entry, unless the thing is, or was, in it."""
        if not self.kept:
            remove_tree(self.path)
        os.close(self.grip)


def gripped(path: Path) -> int:
    """A descriptor on an entry's directory, which keeps others from moving what it is about.

    Raises:
        BlockingIOError: Somebody moves it just now.
        OSError: It cannot be opened.
    """
    fd = os.open(path, PLAINLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def open_entry(quarantine: Path, action: RemoveSocket | RemoveDirectory | RemoveLock, aside: str) -> Entry:
    """Make the entry for what an action is about to move.

    Raises:
        OSError: It cannot be made or written.
        Refused: The quarantine is not a directory of our own.
    """
    import json  # not msgspec, which refuses names that are not UTF-8

    quarantine.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = os.lstat(quarantine)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise Refused(f"the quarantine {quarantine} is not a directory that only we can write to")
    now = time.time()
    path = quarantine / f"{time.strftime(_STAMP, time.gmtime(now))}-{os.urandom(8).hex()}"
    path.mkdir(mode=0o700)
    entry = Entry(path, gripped(path))
    note = {
        "path": action.target.path,
        "kind": _kind(action),
        "session": "" if isinstance(action, RemoveLock) else action.session.key,
        "why": action.target.evidence,
        "at": now,
        "aside": aside,
    }
    try:
        (entry.path / NOTE).write_text(json.dumps(note) + "\n", encoding="ascii")
    except OSError:
        entry.close()
        raise
    return entry


def _kind(action: RemoveSocket | RemoveDirectory | RemoveLock) -> str:
    if isinstance(action, RemoveLock):
        return f"lock ({action.kind})"
    return "directory" if isinstance(action, RemoveDirectory) else "socket"


def prune(quarantine: Path, now: float) -> int:
    """Delete what was kept long enough, counted anew from its return; what is not ours to name is left.

    Returns how many.
    """
    deleted = 0
    try:
        names = os.listdir(quarantine)
    except OSError:
        return 0
    for name in names:
        entry = ENTRY.fullmatch(name)
        if entry is not None and now - max(_seconds(entry["stamp"]), returned_at(quarantine / name)) > KEPT_SECONDS:
            remove_tree(quarantine / name)
            deleted += not (quarantine / name).exists()
    return deleted


def returned_at(entry: Path) -> float:
    """When what was in it was put back, in wall-clock seconds since the epoch; 0 when it was not."""
    try:
        return (entry / RETURNED).stat().st_mtime
    except OSError:
        return 0.0


def _seconds(stamp: str) -> float:
    import calendar

    try:
        return float(calendar.timegm(time.strptime(stamp, _STAMP)))
    except ValueError:  # a day that no calendar has: not a name that we gave
        return float("inf")


def remove_tree(path: Path) -> None:
    """Delete whatever is there, as far as that can be done."""
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _inventory(directory: int) -> dict[str, os.stat_result]:
    """Everything below a directory by its relative path, parents before children.

    Raises:
        Refused: There is too much of it, or something that is neither file nor directory.
    """
    found: dict[str, os.stat_result] = {}
    size = 0
    waiting = [""]
    while waiting:
        base = waiting.pop()
        for name in _names(directory, base):
            path = f"{base}/{name}" if base else name
            status = os.stat(path, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path)
            elif not stat.S_ISREG(status.st_mode):
                raise Refused(f"it holds {name!r}, which is neither a file nor a directory")
            found[path] = status
            size += status.st_size if stat.S_ISREG(status.st_mode) else 0
            if len(found) > _MOST_FILES or size > _MOST_BYTES:
                raise Refused("it holds more than a script directory does")
    return found


def _names(directory: int, path: str) -> list[str]:
    fd = os.open(path or ".", PLAINLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def _marks(status: os.stat_result) -> tuple[int, ...]:
    """What changes when somebody writes to a file. Reading it changes none of these."""
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns


def _copy_one(directory: int, name: str, status: os.stat_result, target: Path) -> None:
    """Copy what is no directory. Of a socket there is nothing to copy."""
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=directory), target)
    elif stat.S_ISREG(status.st_mode):
        if status.st_size > _MOST_BYTES:
            raise Refused("it is larger than a lock")
        _copy_file(directory, name, status, target)


def _copy_file(directory: int, name: str, status: os.stat_result, target: Path) -> None:
    fd = os.open(name, PLAINLY, dir_fd=directory)
    try:
        content = os.read(fd, status.st_size + 1)
    finally:
        os.close(fd)
    with os.fdopen(os.open(target, _WRITE, 0o600), "wb") as copy:
        copy.write(content)
        os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode))
