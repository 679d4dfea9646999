"""Gives removed things back: what lies in quarantine gets its name again, and nothing is overwritten.

What a person has put back stays for a day, whoever would remove it: ``removals.remove`` asks for
itself, and who offers or sweeps asks before.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sentinel.atomic import PLAINLY
from sentinel.core.facts import SocketFacts
from sentinel.core.moments import Moment
from sentinel.errors import SentinelError
from sentinel.observe.sockets import look_at_socket
from sentinel.reaper.copies import empty, entered, fill, inventory
from sentinel.reaper.openat import Refused, open_parent, put_back, status_of
from sentinel.reaper.quarantine import (
    ENTRY,
    ITEM,
    KEPT_SECONDS,
    PART,
    RETURNED,
    SWEEP,
    Entry,
    ReturnedMark,
    gripped,
    moment,
    moment_of,
    read_note,
    remove_tree,
    returned_at,
    returned_mark,
    stamp,
)

PUT_BACK = "its user has put it back"
"""Why it stays."""
HALF = "half"
"""Beside the note: what the copy is called that is on its way back to another file system."""
_ASIDE = re.compile(r"\.sentinel-[0-9a-f]{16}")


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
    here = (entry for entry in _entries(quarantine) if entry.name >= earliest and os.path.lexists(entry / ITEM))
    found = [it for entry in here if (it := _read(entry)) is not None and now.since(it.removed) <= KEPT_SECONDS]
    return sorted(found, key=lambda it: it.removed.wall)


def take_up(quarantine: Path) -> list[str]:
    """Give their names back to what lies aside since whoever moved it was killed half-way.

    What has such a name taken by now goes into quarantine, from where it can be put back.

    Returns:
        The paths that are there again.
    """
    return [path for entry in _entries(quarantine) for path in _taken_up(entry)]


def _taken_up(entry: Path) -> list[str]:
    if (it := _read(entry)) is None:
        return []
    try:
        grip = gripped(entry)
    except OSError:  # it is on its way just now
        return []
    try:
        directory, name = open_parent(it.path)
        try:
            if it.kind == SWEEP:
                return _names_again(entry, it, directory)
            _drop_half(entry, it)
            return [it.path] if _name_again(Entry(entry, grip), it.aside, directory, name) else []
        finally:
            os.close(directory)
    except (Refused, OSError):
        return []
    finally:
        os.close(grip)


def _drop_half(entry: Path, it: Kept) -> None:
    """Remove what was copied of the item on its way back: the item is whole."""
    with suppress(FileNotFoundError):
        aside = (entry / HALF).read_text(encoding="ascii")
        if _ASIDE.fullmatch(aside) and os.path.lexists(entry / ITEM):
            remove_tree(Path(os.path.dirname(it.path), aside))
        (entry / HALF).unlink()


def _name_again(entry: Entry, aside: str, directory: int, name: str) -> bool:
    item = entry.path / ITEM
    remove_tree(entry.path / PART)  # of what lies aside, whole
    is_tree = stat.S_ISDIR(status_of(directory, aside).st_mode)
    if is_tree and item.exists():  # it was being emptied, since the copy is whole
        fill(directory, aside, item)
    try:
        put_back(directory, aside, name)
    except FileExistsError:
        _keep(entry, directory, aside, is_tree=is_tree)
        return False
    if not (entry.path / RETURNED).exists():  # that one is still of use
        remove_tree(entry.path)
    return True


def _keep(entry: Entry, directory: int, aside: str, *, is_tree: bool) -> None:
    """Take into quarantine what cannot have its name back."""
    item = entry.path / ITEM
    if not is_tree:
        remove_tree(item)  # as far as it was copied
    if not item.exists():
        entry.take(directory, aside)
        return
    copied = os.open(item, PLAINLY | os.O_DIRECTORY)
    try:
        found = inventory(copied)
    finally:
        os.close(copied)
    empty(directory, aside, found)


def _names_again(entry: Path, it: Kept, directory: int) -> list[str]:
    """The same for sockets that were being swept out of a directory. Who has a name by now stands before a dead one."""
    place = os.path.dirname(it.path)
    again: list[str] = []
    left = 0
    here = entered(directory, ".")
    try:
        names = os.listdir(here)
    finally:
        os.close(here)
    for aside in names:
        name = aside.removeprefix(f"{it.aside}.")
        if name == aside:
            continue
        try:
            put_back(directory, aside, name)
        except FileExistsError:
            seen = look_at_socket(os.path.join(place, aside))
            if isinstance(seen, SocketFacts) and seen.is_socket and seen.bound is False:
                os.unlink(aside, dir_fd=directory)
            else:
                left += 1  # somebody holds it: it is kept in mind
        else:
            again.append(os.path.join(place, name))
    if not left:
        remove_tree(entry)
    return again


def put_in_place(quarantine: Path, it: Kept) -> None:
    """Give a thing its name again.

    Raises:
        CannotReturn: The name is taken by now, or the way there is not to be trusted.
    """
    entry = quarantine / it.id
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
    for entry in _entries(quarantine):
        at = returned_at(entry)
        if at is not None and now.since(at) <= KEPT_SECONDS and (mark := returned_mark(entry)) is not None:
            yield mark.device, mark.inode, mark.written


def _entries(quarantine: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(quarantine))
    except OSError:
        return
    yield from (quarantine / name for name in names if ENTRY.fullmatch(name))


def _read(entry: Path) -> Kept | None:
    note = read_note(entry)
    match note:
        case {"path": str(path), "kind": str(kind), "aside": str(aside), "why": list(why)}:
            removed = moment_of(note)
            if removed is not None and _ASIDE.fullmatch(aside):
                return Kept(entry.name, path, kind, tuple(map(str, why)), removed, aside)
    return None


def _give(entry: Path, it: Kept, directory: int, name: str) -> None:
    """Give it its old name; across file systems a copy of it. Whatever fails, it stays in quarantine."""
    item, place, aside = entry / ITEM, os.path.dirname(it.path), it.aside
    try:
        os.rename(item, aside, dst_dir_fd=directory)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = f".sentinel-{os.urandom(8).hex()}"  # another name: half a copy is not to be taken up
        (entry / HALF).write_text(aside, encoding="ascii")
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
    remove_tree(entry / HALF)


def _copy(item: Path, target: str) -> None:
    import shutil

    if item.is_dir() and not item.is_symlink():
        shutil.copytree(item, target, symlinks=True)
    else:
        shutil.copy2(item, target, follow_symlinks=False)
