"""Small trees that have to be copied, since they go to another file system."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from sentinel.atomic import PLAINLY
from sentinel.reaper.openat import Refused

_MOST_FILES = 100
_MOST_BYTES = 1 << 20
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Found = dict[str, os.stat_result]
"""What lies below a directory, by its relative path, parents before children."""


def copy(directory: int, name: str, target: Path) -> Found:
    """Copy a file, a symlink or a tree. Of a socket there is nothing to copy.

    Returns:
        What there is of the tree, for ``empty``.

    Raises:
        Refused: It is too big or too odd to be copied, or somebody wrote to it meanwhile.
    """
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        _copy_one(directory, name, status, target)
        return {}
    fd = _entered(directory, name)
    try:
        found = inventory(fd)
        target.mkdir(mode=0o700)
        for inner, its in found.items():
            if stat.S_ISDIR(its.st_mode):
                (target / inner).mkdir(mode=0o700)
            else:
                _copy_file(fd, inner, its, target / inner)
        if _all_marks(inventory(fd)) != _all_marks(found):
            raise Refused("somebody wrote to it while it was copied")
    finally:
        os.close(fd)
    return found


def empty(directory: int, name: str, found: Found) -> None:
    """Remove a tree of which there is a copy.

    Raises:
        OSError: There is more in it by now: that stays.
    """
    fd = _entered(directory, name)
    try:
        for inner, status in reversed(found.items()):
            (os.rmdir if stat.S_ISDIR(status.st_mode) else os.unlink)(inner, dir_fd=fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=directory)


def fill(directory: int, name: str, copied: Path) -> None:
    """Put back into a tree what is in its copy only. What is there stays as it is.

    Raises:
        OSError: It cannot be written.
    """
    target, source = _entered(directory, name), os.open(copied, PLAINLY | os.O_DIRECTORY)
    try:
        for inner, status in inventory(source).items():
            with suppress(FileExistsError):
                if stat.S_ISDIR(status.st_mode):
                    os.mkdir(inner, 0o700, dir_fd=target)
                else:
                    _copy_file(source, inner, status, inner, into=target)
    finally:
        os.close(target)
        os.close(source)


def inventory(directory: int) -> Found:
    """Everything below a directory.

    Raises:
        Refused: There is too much of it, or something that is neither file nor directory.
    """
    found: Found = {}
    size = 0
    waiting = [""]
    while waiting:
        base = waiting.pop()
        for name in names(directory, base):
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


def names(directory: int, path: str = "") -> list[str]:
    """What is in a directory, or in one below it. The descriptor need not be one that can be read from."""
    fd = os.open(path or ".", PLAINLY | os.O_DIRECTORY, dir_fd=directory)
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)


def _entered(directory: int, name: str) -> int:
    """Descriptor of a directory in another."""
    return os.open(name, PLAINLY | os.O_DIRECTORY, dir_fd=directory)


def _all_marks(found: Found) -> dict[str, tuple[int, ...]]:
    """What changes when somebody writes to a file. Reading it changes none of these."""
    return {name: (it.st_ino, it.st_mode, it.st_size, it.st_mtime_ns) for name, it in found.items()}


def _copy_one(directory: int, name: str, status: os.stat_result, target: Path) -> None:
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=directory), target)
    elif stat.S_ISREG(status.st_mode):
        if status.st_size > _MOST_BYTES:
            raise Refused("it is larger than a lock")
        _copy_file(directory, name, status, target)


def _copy_file(directory: int, name: str, status: os.stat_result, target: Path | str, into: int | None = None) -> None:
    fd = os.open(name, PLAINLY, dir_fd=directory)
    try:
        content = os.read(fd, status.st_size + 1)
    finally:
        os.close(fd)
    with os.fdopen(os.open(target, _WRITE, 0o600, dir_fd=into), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
