"""Where removed things are kept for a day, with a note that says what they were.

An entry is a directory ``<utc>-<random>`` that holds ``note.json`` and ``item``. The note is
written before the thing is touched, so that a crash in between leaves nothing unexplained.
Whoever moves the thing holds ``flock`` on the entry until it is through: of a note without
an item whose entry is free, the mover has died half-way (``recovery.take_up``).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sentinel import clocks
from sentinel.atomic import PLAINLY, encode
from sentinel.core.actions import RemoveDirectory, RemoveLock, RemoveSocket, SweepSockets
from sentinel.core.moments import Moment
from sentinel.observe import processes
from sentinel.reaper.copies import copy, empty
from sentinel.reaper.openat import Refused

KEPT_SECONDS = 24 * 3600.0
NOTE, ITEM = "note.json", "item"
PART = "part"
"""Half a copy of what comes from another file system: it becomes the item when it is whole."""
RETURNED = "returned"
"""Beside the note of what was put back: what it is by now (``ReturnedMark``)."""
SWEEP = "sweep"
"""The kind of an entry that is about the sockets of a directory, while they are swept out."""
_ENTRY = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{16}")
_ASIDE = re.compile(r"\.sentinel-[0-9a-f]{16}")
_STAMP = "%Y%m%dT%H%M%SZ"
_LARGEST = 64 * 1024
"""Bytes of a note."""

Movable = RemoveSocket | RemoveDirectory | RemoveLock | SweepSockets


class ReturnedMark(msgspec.Struct, frozen=True, array_like=True):
    """What was put back, and when. The wall clock's word is the time at which this was written."""

    device: int
    inode: int
    written: int | None
    """Its time of writing in nanoseconds; None for a directory: to write into one makes no other of it."""
    boot: str = ""
    up: float = 0.0


@dataclass(slots=True)
class Entry:
    """One thing in quarantine, or on its way there."""

    path: Path
    grip: int
    """Descriptor of its directory, locked."""
    aside: str
    """What the thing is called on its way, in the directory that it was in; of many, how their names begin."""
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
        found = copy(directory, name, self.path / PART)
        with suppress(FileNotFoundError):  # of a socket there is no copy
            os.rename(self.path / PART, self.path / ITEM)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=directory)
            return
        self.kept = self.spent = True
        empty(directory, name, found)

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


def stamp(at: float) -> str:
    """How the names of the entries begin that are made at a time: wall-clock seconds since the epoch."""
    return time.strftime(_STAMP, time.gmtime(at))


def moment() -> Moment:
    """Now, as entries count it: a wall clock that is set makes none of them older."""
    return clocks.now(processes.boot_id())


def new_aside() -> str:
    """A name for what has lost its own, which nobody else knows."""
    return f".sentinel-{os.urandom(8).hex()}"


def is_aside(name: str) -> bool:
    """Whether this is such a name."""
    return _ASIDE.fullmatch(name) is not None


def open_entry(quarantine: Path, action: Movable) -> Entry:
    """Make the entry for what an action is about to move.

    Raises:
        OSError: It cannot be made or written.
        Refused: The quarantine is not a directory of our own.
    """
    quarantine.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = os.lstat(quarantine)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise Refused(f"the quarantine {quarantine} is not a directory that only we can write to")
    now = moment()
    path = quarantine / f"{stamp(now.wall)}-{os.urandom(8).hex()}"
    path.mkdir(mode=0o700)
    entry = Entry(path, gripped(path), new_aside())
    note = {**_about(action), "at": now.wall, "boot": now.boot, "up": now.up, "aside": entry.aside}
    try:
        (entry.path / NOTE).write_bytes(encode(note) + b"\n")
    except OSError:
        entry.close()
        raise
    return entry


def _about(action: Movable) -> dict[str, object]:
    match action:
        case SweepSockets():  # which they are, their names tell while they have others
            return {"path": f"{action.directory}/*", "kind": SWEEP, "session": "", "why": ()}
        case RemoveLock():
            kind, session = f"lock ({action.kind})", ""
        case RemoveDirectory():
            kind, session = "directory", action.session.key
        case RemoveSocket():
            kind, session = "socket", action.session.key
    return {"path": action.target.path, "kind": kind, "session": session, "why": action.target.evidence}


def prune(quarantine: Path, now: Moment) -> int:
    """Delete what was kept long enough, counted anew from its return.

    Returns how many.
    """
    deleted = 0
    for path in entries(quarantine):
        began = moment_of(read_note(path)) or Moment(_seconds(path.name.partition("-")[0]))
        if now.since(returned_at(path) or began) > KEPT_SECONDS:
            remove_tree(path)
            deleted += not path.exists()
    return deleted


def entries(quarantine: Path) -> Iterator[Path]:
    """What lies in quarantine, the oldest first by the wall clock; what is not ours to name is left out."""
    try:
        names = sorted(os.listdir(quarantine))
    except OSError:
        return
    yield from (quarantine / name for name in names if _ENTRY.fullmatch(name))


def read_note(entry: Path) -> dict[str, object]:
    """What the note of an entry says; empty when it cannot be read."""
    import json  # not msgspec, which refuses names that are not UTF-8

    try:
        with open(entry / NOTE, "rb") as file:
            note = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def moment_of(note: dict[str, object]) -> Moment | None:
    """When it was written; None when it does not say. One of an older version has the wall clock only."""
    match note:
        case {"at": int(at) | float(at), "boot": str(boot), "up": int(up) | float(up)}:
            return Moment(at, boot, up)
        case {"at": int(at) | float(at)}:
            return Moment(at)
    return None


def returned_mark(entry: Path) -> ReturnedMark | None:
    """What was put back of an entry; None when nothing was."""
    try:
        return msgspec.json.decode((entry / RETURNED).read_bytes(), type=ReturnedMark)
    except (OSError, msgspec.MsgspecError):
        return None


def returned_at(entry: Path) -> Moment | None:
    """When what was in it was put back; None when it was not."""
    try:
        wall = (entry / RETURNED).stat().st_mtime
    except OSError:
        return None
    mark = returned_mark(entry)
    return Moment(wall, mark.boot, mark.up) if mark else Moment(wall)


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
