"""What a process has open, as /proc shows it (Linux)."""

from __future__ import annotations

import os
from contextlib import suppress

_FEW = 8
"""Descriptors that are asked for by number before it is asked which there are."""
_LOOKS = 3
"""At one that opens and closes others meanwhile."""


def descriptors(process: str) -> dict[str, str]:
    """Where each leads.

    A thread that ends closes its own view of what the others still have open: whatever is missing
    is asked for once more, and at the end that the thread is there. Where another thread than the
    first replaces the program (execve(2)), it may have taken that one's place meanwhile, with the same files.

    Args:
        process: Its directory below /proc, or that of one of its threads.

    Raises:
        OSError: It has ended, or its own user may not look into it.
    """
    directory = f"{process}/fd"
    # How many there are costs less than which (Linux 6.2; before, it says 0), and mostly they are the first ones.
    count = os.stat(directory).st_size
    found = _links(directory, [str(number) for number in range(count)]) if count <= _FEW else {}
    if len(found) == count > 0:
        return found
    before: dict[str, str] | None = None
    for _ in range(_LOOKS):
        now = _links(directory, os.listdir(directory))
        found |= now
        if now == before or len(now) == os.stat(directory).st_size > 0:
            break
        before = now
    os.readlink(f"{process}/exe")
    return found


def _links(directory: str, names: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        with suppress(FileNotFoundError):  # closed since
            found[name] = os.readlink(f"{directory}/{name}")
    return found
