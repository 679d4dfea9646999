"""Gives removed things back: what lies in quarantine gets its name again, and nothing is overwritten.

What a person has put back stays for a day, whoever would remove it: ``removals.remove`` asks for
itself, and who offers or sweeps asks before.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sentinel.core.moments import Moment
from sentinel.errors import SentinelError
from sentinel.reaper.openat import Refused, open_parent, put_back, status_of
from sentinel.reaper.quarantine import (
    ITEM,
    KEPT_SECONDS,
    RETURNED,
    ReturnedMark,
    entries,
    gripped,
    is_aside,
    moment,
    moment_of,
    new_aside,
    read_note,
    remove_tree,
    returned_at,
    returned_mark,
    stamp,
)

PUT_BACK = "its user has put it back"
"""Why it stays."""
_HALF = "half"
"""Beside the note: what the copy is called that is on its way back to another file system."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that can be put back."""

    id: str
    path: str
    """Where it was."""
    kind: str
    why: tuple[str, ...]
    removed: Moment
    aside: str
    """What it is called on its way, in the directory that it was in."""

    @property
    def at(self) -> float:
        """When it was removed: wall-clock seconds since the epoch."""
        return self.removed.wall


class CannotReturn(SentinelError):
    """It cannot be put back; nothing was changed."""


def kept(quarantine: Path, now: Moment, *, lately: float = KEPT_SECONDS) -> list[Kept]:
    """What can be put back, the youngest last. What has no readable note is left out.

    Args:
        quarantine: Where it lies.
        now: By it things are too old.
        lately: Seconds. What the wall clock says was removed before that is not even looked at.
    """
    earliest = stamp(now.wall - lately) if lately < KEPT_SECONDS else ""
    here = (entry for entry in entries(quarantine) if entry.name >= earliest and os.path.lexists(entry / ITEM))
    found = [it for entry in here if (it := read(entry)) is not None and now.since(it.removed) <= KEPT_SECONDS]
    return sorted(found, key=lambda it: it.at)


def read(entry: Path) -> Kept | None:
    """What an entry is about; None when its note does not tell."""
    note = read_note(entry)
    match note:
        case {"path": str(path), "kind": str(kind), "aside": str(aside), "why": list(why)}:
            removed = moment_of(note)
            if removed is not None and is_aside(aside):
                return Kept(entry.name, path, kind, tuple(map(str, why)), removed, aside)
    return None


def put_in_place(quarantine: Path, it: Kept) -> None:
    """Give a thing its name again.

    Raises:
        CannotReturn: The name is taken by now, or the way there is not to be trusted.
    """
    entry = quarantine / it.id
    if not os.path.lexists(entry / ITEM):
        raise CannotReturn("it is not in quarantine any more: it was put back, or its day is over")
    try:
        grip = gripped(entry)
    except OSError as error:
        raise CannotReturn("somebody puts it back just now, or has done so") from error
    try:
        _put_in_place(entry, it)
    finally:
        os.close(grip)


def _put_in_place(entry: Path, it: Kept) -> None:
    try:
        directory, name = open_parent(it.path)
    except FileNotFoundError:
        raise CannotReturn("the directory that it was in is gone") from None
    except (Refused, OSError) as error:
        raise CannotReturn(str(error)) from error
    try:
        _give(entry, it, directory, name)
        status = status_of(directory, name)
    except FileExistsError:
        raise CannotReturn("something else is there by now") from None
    except (Refused, OSError) as error:
        raise CannotReturn(f"it could not be put back: {error}") from error
    finally:
        os.close(directory)
    # Writing into a script directory makes no other of it; a file or a socket would be another's by then.
    written, now = None if it.kind == "directory" else status.st_mtime_ns, moment()
    mark = ReturnedMark(status.st_dev, status.st_ino, written, now.boot, now.up)
    (entry / RETURNED).write_bytes(msgspec.json.encode(mark))


@dataclass(frozen=True, slots=True)
class Returned:
    """What was put back within the last day: it is not removed twice."""

    _marks: frozenset[tuple[int, int, int | None]]

    def __contains__(self, path: str) -> bool:
        """Whether the very thing that was put back lies there."""
        if not self._marks:
            return False
        try:
            return self.knows(os.lstat(path))
        except OSError:
            return False

    def knows(self, status: os.stat_result) -> bool:
        """Whether it is one of these."""
        which = status.st_dev, status.st_ino
        return not self._marks.isdisjoint({(*which, None), (*which, status.st_mtime_ns)})


def returned(quarantine: Path, now: Moment) -> Returned:
    """What is to stay because somebody put it back."""
    return Returned(frozenset(_marks(quarantine, now)))


def _marks(quarantine: Path, now: Moment) -> Iterator[tuple[int, int, int | None]]:
    for entry in entries(quarantine):
        at = returned_at(entry)
        if at is not None and now.since(at) <= KEPT_SECONDS and (mark := returned_mark(entry)) is not None:
            yield mark.device, mark.inode, mark.written


def _give(entry: Path, it: Kept, directory: int, name: str) -> None:
    """Give it its old name; across file systems a copy of it. Whatever fails, it stays in quarantine."""
    item, place, aside = entry / ITEM, os.path.dirname(it.path), it.aside
    try:
        os.rename(item, aside, dst_dir_fd=directory)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = new_aside()  # another name: half a copy is not to be taken up
        (entry / _HALF).write_text(aside, encoding="ascii")
        _copy(item, os.path.join(place, aside))
    try:
        put_back(directory, aside, name)
    except OSError:
        if os.path.lexists(item):
            remove_tree(Path(place, aside))
        else:
            os.rename(aside, item, src_dir_fd=directory)
        raise
    remove_tree(item)
    remove_tree(entry / _HALF)


def drop_half(entry: Path, it: Kept) -> None:
    """Remove what was copied of the item on its way back before that was killed: the item is whole."""
    with suppress(FileNotFoundError):
        aside = (entry / _HALF).read_text(encoding="ascii")
        if is_aside(aside) and os.path.lexists(entry / ITEM):
            remove_tree(Path(os.path.dirname(it.path), aside))
        (entry / _HALF).unlink()


def _copy(item: Path, target: str) -> None:
    import shutil

    if item.is_dir() and not item.is_symlink():
        shutil.copytree(item, target, symlinks=True)
    else:
        shutil.copy2(item, target, follow_symlinks=False)
