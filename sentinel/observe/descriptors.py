"""What a process has open, as /proc shows it (Linux)."""

from __future__ import annotations

import os
from contextlib import suppress

_LOOKS = 3
"""At one that opens and closes others meanwhile."""


def descriptors(process: str) -> dict[str, str]:
    """Where each leads.

    A thread that ends closes its own view of what the others still have open: whatever is missing
    is asked for once more, and then also whether the thread is there. Where another thread than the
    first replaces the program (execve(2)), it may have taken that one's place meanwhile, with the same files.

    Args:
        process: Its directory below /proc, or that of one of its threads.

    Raises:
        OSError: It has ended, or its own user may not look into it.
    """
    directory = f"{process}/fd"
    found: dict[str, str] = {}
    before: dict[str, str] | None = None
    for _ in range(_LOOKS):
        # Only a list shows each that stays open: how many there are (Linux 6.2; before, it says 0) says
        # nothing of their numbers, and one that is opened meanwhile can stand in for another.
        names = os.listdir(directory)
        now = _links(directory, names)
        found |= now
        if len(now) == len(names) == os.stat(directory).st_size > 0:
            break
        os.readlink(f"{process}/exe")
        if now == before:
            break
        before = now
    return found


def _links(directory: str, names: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        with suppress(FileNotFoundError):  # closed since
            found[name] = os.readlink(f"{directory}/{name}")
    return found
