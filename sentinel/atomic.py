"""Small files that are replaced whole: a reader sees what was there or what is there now, never half."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Put ``content`` in the place of what lies at ``path``, readable by its owner alone.

    Args:
        path: Its directory must be there.
        content: All of it.
        sync: Have it survive a power cut (0.1 to 10 ms).

    Raises:
        OSError: It is as it was before.
    """
    fresh = f"{path}.{os.getpid()}.new"
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(fd)
        os.replace(fresh, path)
    except OSError:
        with suppress(OSError):
            os.unlink(fresh)
        raise
