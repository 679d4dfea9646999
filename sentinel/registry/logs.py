"""What registered sessions write about themselves: one file a session, forgotten some days after its end."""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sentinel.registry.entries import Entry

_SUFFIX = ".log"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST = 80


def path_of(directory: Path, entry: Entry) -> Path:
    """Where the session may write its log. Ids that look alike as file names are told apart by a digest."""
    digest = f"{zlib.crc32(entry.key.encode()):08x}"
    name = _NOT_IN_A_NAME.sub("-", entry.id)[:_LONGEST].lstrip(".")
    return directory / f"{name}-{digest}{_SUFFIX}"


def prune(directory: Path, living: Iterable[Entry], before: float) -> int:
    """Remove the logs of sessions that are over and have not written since ``before``; returns how many.

    Args:
        directory: Where they lie. It need not be there.
        living: Sessions whose logs stay at any age.
        before: Wall-clock seconds since the epoch.
    """
    keep = {path_of(directory, entry).name for entry in living}
    removed = 0
    with suppress(OSError), os.scandir(directory) as entries:
        for found in entries:
            if not found.name.endswith(_SUFFIX) or found.name in keep:
                continue
            with suppress(OSError):
                about = found.stat(follow_symlinks=False)
                if stat.S_ISREG(about.st_mode) and about.st_mtime < before:
                    os.unlink(found.path)
                    removed += 1
    return removed
