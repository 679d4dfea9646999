"""Small files that are replaced whole: a reader sees what was there or what is there now, never half.

And the turn of those who write one, taken with patience.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

import msgspec

PLAINLY = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How one reads what somebody else may have put there: no symlink is followed, no pipe waited for."""


def encode(thing: object) -> bytes:
    """As JSON, whatever names are in it: one that is no UTF-8 comes back as it was (PEP 383)."""
    try:
        return msgspec.json.encode(thing)
    except UnicodeEncodeError:
        import json

        return json.dumps(msgspec.to_builtins(thing)).encode("ascii")


def read_file(path: Path, largest: int) -> bytes:
    """All of a file that we wrote: no symlink, nothing that blocks, nobody else's.

    Raises:
        OSError: It is not there, it cannot be read, or it is not as we leave it.
    """
    fd = os.open(path, PLAINLY)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o022:
            raise OSError(0, "it is no file of ours alone")
        if found.st_uid != os.geteuid():
            raise OSError(0, f"it belongs to another user (uid {found.st_uid})")
        if found.st_size > largest:
            raise OSError(0, f"it is larger than {largest >> 10} KiB")
        return os.read(fd, largest)
    finally:
        os.close(fd)


def set_aside(path: Path) -> None:
    """Keep a file that must not be believed, for a person to look at, out of the way.

    Raises:
        OSError: It stays where it is.
    """
    os.replace(path, path.with_suffix(".damaged"))


def replace_file(path: Path, content: bytes, *, sync: bool = False, mode: int = 0o600, mark: str = "new") -> None:
    """Put ``content`` in the place of what lies at ``path``, readable by its owner alone unless ``mode`` says more.

    Args:
        path: Its directory must be there.
        content: All of it.
        sync: Have it survive a power cut (0.1 to 10 ms).
        mode: Its permissions.
        mark: How the name of the new one ends until it has its place. It stays where its writer is killed.

    Raises:
        OSError: It is as it was before.
    """
    fresh = f"{path}.{os.getpid()}.{mark}"
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(content)
            file.flush()
            if sync:
                os.fsync(fd)
        os.replace(fresh, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(fresh)
        error.filename = str(path)  # a disk that is full names nobody
        raise


def lock(fd: int, how: int, *, deadline: float, pause: float) -> bool:
    """Lock what is open with ``flock``, ``LOCK_EX`` or ``LOCK_SH``.

    Args:
        fd: A file or a directory.
        how: Alone, or with others.
        deadline: Monotonic seconds until which to try. One try is always made.
        pause: Seconds between two tries.

    Returns:
        Whether it is locked now. Somebody who is stopped in his turn keeps it for as long as he likes.
    """
    while True:
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
        else:
            return True
