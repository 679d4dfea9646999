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
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sentinel.errors import SentinelError
from sentinel.reaper.openat import Refused, open_parent, put_back, status_of
from sentinel.reaper.quarantine import ENTRY, ITEM, KEPT_SECONDS, NOTE, RETURNED, gripped, remove_tree, returned_at

PUT_BACK = "its user has put it back"
"""Why it stays."""
_LARGEST = 64 * 1024
_ASIDE = re.compile(r"\.sentinel-[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Kept:
    """One thing that can be put back."""

    id: str
    path: str
    """Where it was."""
    kind: str
    why: tuple[str, ...]
    at: float
    """When it was removed: wall-clock seconds since the epoch."""
    aside: str
    """What it is called on its way, in the directory that it was in."""


class CannotReturn(SentinelError):
    """It cannot be put back; nothing was changed."""


def kept(quarantine: Path, now: float) -> list[Kept]:
    """What can be put back, the youngest last. What has no readable note is left out."""
    here = (entry for entry in _entries(quarantine) if os.path.lexists(entry / ITEM))
    found = [it for entry in here if (it := _read(entry)) is not None and now - it.at <= KEPT_SECONDS]
    return sorted(found, key=lambda it: it.at)


def take_up(quarantine: Path) -> list[str]:
    """Give their names back to what lies aside since whoever moved it was killed half-way.

    What has such a name taken by now goes into quarantine, from where it can be put back.

    Returns:
        The paths that are there again.
    """
    return [path for entry in _entries(quarantine) if (path := _taken_up(entry))]


def _taken_up(entry: Path) -> str:
    if (it := _read(entry)) is None:
        return ""
    try:
        grip = gripped(entry)
    except OSError:  # it is on its way just now
        return ""
    try:
        directory, name = open_parent(it.path)
        try:
            return it.path if _name_again(entry, it.aside, directory, name) else ""
        finally:
            os.close(directory)
    except (Refused, OSError):
        return ""
    finally:
        os.close(grip)


def _name_again(entry: Path, aside: str, directory: int, name: str) -> bool:
    if os.path.lexists(entry / ITEM) and stat.S_ISDIR(status_of(directory, aside).st_mode):
        return False  # it was copied from another file system: which of the two is whole nobody can tell
    try:
        put_back(directory, aside, name)
    except FileExistsError:
        os.rename(aside, entry / ITEM, src_dir_fd=directory)
        return False
    if not (entry / RETURNED).exists():  # that one is still of use
        remove_tree(entry)
    return True


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
        _give(entry / ITEM, it, directory, name)
        status = status_of(directory, name)
    except FileExistsError:
        raise CannotReturn("something else is there by now") from None
    except (Refused, OSError) as error:
        raise CannotReturn(f"it could not be put back: {error}") from error
    finally:
        os.close(directory)
    # Writing into a script directory makes no other of it; a file or a socket would be another's by then.
    written = None if it.kind == "directory" else status.st_mtime_ns
    (entry / RETURNED).write_bytes(msgspec.json.encode((status.st_dev, status.st_ino, written)))


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


def returned(quarantine: Path, now: float) -> Returned:
    """What is to stay because somebody put it back."""
    return Returned(frozenset(_marks(quarantine, now)))


def _marks(quarantine: Path, now: float) -> Iterator[tuple[int, int, int | None]]:
    for entry in _entries(quarantine):
        if now - returned_at(entry) > KEPT_SECONDS:
            continue
        try:
            yield msgspec.json.decode((entry / RETURNED).read_bytes(), type=tuple[int, int, int | None])
        except (OSError, msgspec.MsgspecError):
            continue


def _entries(quarantine: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(quarantine))
    except OSError:
        return
    yield from (quarantine / name for name in names if ENTRY.fullmatch(name))


def _read(entry: Path) -> Kept | None:
    import json  # not msgspec, which refuses names that are not UTF-8

    try:
        with open(entry / NOTE, "rb") as file:
            note = json.loads(file.read(_LARGEST))
        path, kind, aside = str(note["path"]), str(note["kind"]), str(note["aside"])
        if not _ASIDE.fullmatch(aside):
            return None
        return Kept(entry.name, path, kind, tuple(map(str, note["why"])), float(note["at"]), aside)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _give(item: Path, it: Kept, directory: int, name: str) -> None:
    """Give it its old name; across file systems a copy of it. Whatever fails, it stays in quarantine."""
    place, aside = os.path.dirname(it.path), it.aside
    try:
        os.rename(item, aside, dst_dir_fd=directory)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        aside = f".sentinel-{os.urandom(8).hex()}"  # never noted: half a copy is not to be taken up
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


def _copy(item: Path, target: str) -> None:
    import shutil

    if item.is_dir() and not item.is_symlink():
        shutil.copytree(item, target, symlinks=True)
    else:
        shutil.copy2(item, target, follow_symlinks=False)
