"""Gives a file another name, beside the one it had: nothing is lost, and the old name is free."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from sentinel.core.facts import Unknown
from sentinel.reaper.openat import put_back


def put_aside(path: str, suffix: str) -> None:
    """Rename a file of ours, over what was put aside before it."""
    with suppress(OSError):
        os.replace(path, f"{path}{suffix}")


def put_empty_aside(path: str, suffix: str) -> bool:
    """Rename a plain, empty file of ours. Whether it was one.

    It is looked at again when nobody finds it any more: what somebody has put in its place since the first look,
    as an Overmind its socket, gets its name back.
    """
    aside = f"{path}{suffix}"
    if is_empty_file(path) is not True:
        return False
    put_aside(path, suffix)
    if is_empty_file(aside) is True:
        return True
    with suppress(OSError):  # the name is taken by now, or there is nothing
        directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            put_back(directory, os.path.basename(aside), os.path.basename(path))
        finally:
            os.close(directory)
    return False


def is_empty_file(path: str) -> bool | Unknown:
    """Whether a plain, empty file of ours lies there: ``touch`` makes such, and no Overmind can start over it."""
    try:
        found = os.lstat(path)
    except OSError as error:
        return Unknown(f"what is at {path}", error.strerror or str(error))
    return stat.S_ISREG(found.st_mode) and found.st_size == 0 and found.st_uid == os.geteuid()
