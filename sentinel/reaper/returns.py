"""Gives removed things back: what lies in quarantine gets its name again, and nothing is overwritten.

What a person has put back stays for a day, whoever would remove it: ``removals.remove`` asks for
itself, and who offers or sweeps asks before.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sentinel.errors import SentinelError
from sentinel.reaper.openat import Refused, open_parent, put_back, status_of
from sentinel.reaper.quarantine import ENTRY, ITEM, KEPT_SECONDS, NOTE, RETURNED, remove_tree, returned_at

PUT_BACK = "its user has put it back"
"""Why it stays."""
_LARGEST = 64 * 1024


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


class CannotReturn(SentinelError):
    """It cannot be put back; nothing was changed."""


def kept(quarantine: Path, now: float) -> list[Kept]:
    """What can be put back, the youngest last. What has no readable note is left out."""
    found = [it for entry in _entries(quarantine) if (it := _read(entry)) is not None and now - it.at <= KEPT_SECONDS]
    return sorted(found, key=lambda it: it.at)


def put_in_place(quarantine: Path, it: Kept) -> None:
    """Give a thing its name again.

    Raises:
        CannotReturn: The name is taken by now, or the way there is not to be trusted.
    """
    entry = quarantine / it.id
    try:
        directory, name = open_parent(it.path)
    except FileNotFoundError:
        raise CannotReturn("the directory that it was in is gone") from None
    except (Refused, OSError) as error:
        raise CannotReturn(str(error)) from error
    try:
        _give(entry / ITEM, os.path.dirname(it.path), directory, name)
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

    if not os.path.lexists(entry / ITEM):
        return None
    try:
        with open(entry / NOTE, "rb") as file:
            note = json.loads(file.read(_LARGEST))
        return Kept(entry.name, str(note["path"]), str(note["kind"]), tuple(map(str, note["why"])), float(note["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _give(item: Path, place: str, directory: int, name: str) -> None:
    """Give it its old name; across file systems a copy of it. Whatever fails, it stays in quarantine."""
    aside = f".sentinel-{os.urandom(8).hex()}"
    try:
        os.rename(item, aside, dst_dir_fd=directory)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
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
