"""Gives a file another name, beside the one it had: nothing is lost, and the old name is free."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from sentinel.core.facts import Unknown


def put_aside(path: str, suffix: str) -> None:
    """Rename a file of ours, over what was put aside before it."""
    with suppress(OSError):
        os.replace(path, f"{path}{suffix}")


def is_empty_file(path: str) -> bool | Unknown:
    """Whether a plain, empty file of ours lies there: ``touch`` makes such, and no Overmind can start over it."""
    try:
        found = os.lstat(path)
    except OSError as error:
        return Unknown(f"what is at {path}", error.strerror or str(error))
    return stat.S_ISREG(found.st_mode) and found.st_size == 0 and found.st_uid == os.geteuid()
