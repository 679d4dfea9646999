"""Takes up what was killed half-way: a removal, a sweep or a return that its process did not live to finish.

What lies under a name of ours gets its own name back. What has that name taken by now goes
into quarantine, from where it can be put back.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sentinel.atomic import PLAINLY
from sentinel.reaper import returns
from sentinel.reaper.copies import empty, fill, inventory, names
from sentinel.reaper.openat import Refused, open_parent, put_back, status_of
from sentinel.reaper.quarantine import ITEM, PART, SWEEP, Entry, entries, gripped, remove_tree
from sentinel.reaper.removals import still_dead


def take_up(quarantine: Path) -> list[str]:
    """Give their names back to what lies aside.

    Returns:
        The paths that are there again.
    """
    return [path for entry in entries(quarantine) for path in _taken_up(entry)]


def _taken_up(path: Path) -> list[str]:
    if (it := returns.read(path)) is None:
        return []
    try:
        grip = gripped(path)
    except OSError:  # it is on its way just now
        return []
    try:
        directory, name = open_parent(it.path)
        try:
            entry = Entry(path, grip, it.aside)
            if it.kind == SWEEP:
                return _named_as_swept(entry, directory, os.path.dirname(it.path))
            returns.drop_half(path, it)
            return [it.path] if _named(entry, directory, name) else []
        finally:
            os.close(directory)
    except (Refused, OSError):
        return []
    finally:
        os.close(grip)


def _named(entry: Entry, directory: int, name: str) -> bool:
    """Give a thing its name back, whole. Whether it has it; else it is in quarantine."""
    item = entry.path / ITEM
    remove_tree(entry.path / PART)  # of what lies aside, whole
    is_tree = stat.S_ISDIR(status_of(directory, entry.aside).st_mode)
    if is_tree and item.exists():  # it was being emptied, since the copy is whole
        fill(directory, entry.aside, item)
    try:
        put_back(directory, entry.aside, name)
    except FileExistsError:
        _keep(entry, directory, is_tree=is_tree)
        return False
    remove_tree(entry.path)
    return True


def _keep(entry: Entry, directory: int, *, is_tree: bool) -> None:
    """Take into quarantine what cannot have its name back."""
    item = entry.path / ITEM
    if not is_tree:
        remove_tree(item)  # as far as it was copied
    if not item.exists():
        entry.take(directory, entry.aside)
        return
    copied = os.open(item, PLAINLY | os.O_DIRECTORY)
    try:
        found = inventory(copied)
    finally:
        os.close(copied)
    empty(directory, entry.aside, found)


def _named_as_swept(entry: Entry, directory: int, place: str) -> list[str]:
    """Give swept sockets their names back. Where one is taken by now, the socket goes if it is dead."""
    again: list[str] = []
    held = False
    for aside in names(directory):
        name = aside.removeprefix(f"{entry.aside}.")
        if name == aside:
            continue
        try:
            put_back(directory, aside, name)
        except FileExistsError:
            if still_dead(os.path.join(place, aside)):
                os.unlink(aside, dir_fd=directory)
            else:
                held = True  # it is tried again at the next start
        else:
            again.append(os.path.join(place, name))
    if not held:
        remove_tree(entry.path)
    return again
