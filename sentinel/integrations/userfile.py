"""A file of the user that is changed as a whole or not at all, and stays what it was otherwise.

Where it is a symbolic link (people keep their settings in a repository) the file that it
leads to is replaced, and the link stays.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sentinel.atomic import replace_file
from sentinel.core.facts import Gone
from sentinel.errors import SentinelError
from sentinel.observe import place, processes

_LARGEST = 1 << 20
"""Bytes. Beyond that it is no configuration."""
_NEW = 0o600


@dataclass(frozen=True, slots=True)
class UserFile:
    """A file as it was read."""

    path: Path
    """Of the file itself, behind all links."""
    text: str | None
    """None: there is no file."""
    mode: int = _NEW
    stamp: tuple[int, int, int] | None = None
    """Inode, time of the last change, size: whether it is still the one that was read."""


def read(path: Path) -> UserFile:
    """Read a file that is to be changed.

    Raises:
        SentinelError: It cannot be changed with care: somebody else's, read-only, no text.
    """
    real = Path(os.path.realpath(path))
    try:
        found = os.stat(real)
        if not stat.S_ISREG(found.st_mode):
            raise SentinelError(f"{path} is not a regular file")
        if found.st_uid != os.geteuid():
            raise SentinelError(f"{path} belongs to another user (uid {found.st_uid})")
        if found.st_size > _LARGEST:
            raise SentinelError(f"{path} is larger than {_LARGEST >> 20} MiB, so it is no configuration")
        text = real.read_bytes().decode()
    except FileNotFoundError:
        if path.is_symlink():
            raise SentinelError(f"{path} is a symbolic link to a file that is not there") from None
        return UserFile(real, None)
    except UnicodeDecodeError as error:
        raise SentinelError(f"{path} is not UTF-8 text") from error
    except OSError as error:
        raise SentinelError(f"{path} cannot be read: {error.strerror}") from error
    return UserFile(real, text, stat.S_IMODE(found.st_mode), _stamp(found))


def write(file: UserFile, text: str | None) -> None:
    """Put ``text`` in its place, with the mode that it had; None takes the file away.

    Raises:
        SentinelError: It was changed since it was read, it is read-only, or it cannot be written.
            It is as it was.
    """
    if file.text is not None and not file.mode & stat.S_IWUSR:
        raise SentinelError(f"{file.path} is read-only; it was left as it is")
    try:
        if _stamp_of(file.path) != file.stamp:
            raise SentinelError(f"{file.path} was changed just now by somebody else; nothing was written")
        with suppress(OSError):  # what stays there is in nobody's way
            _drop_halves(file.path)
        if text is None:
            os.unlink(file.path)
        else:
            replace_file(file.path, text.encode(), mode=file.mode, sync=True, mark=mark())
    except OSError as error:
        raise SentinelError(f"{file.path} cannot be written: {error.strerror}") from error


def mark() -> str:
    """How the name of a new text ends until it has its place.

    It says where the number before it means anything: in another pid namespace, or on another machine
    that has the same home, one that nobody has here may be a living writer's.
    """
    return f"{processes.boot_id()[:8]}-{place.pid_namespace()}.sentinel"


def _drop_halves(path: Path) -> None:
    """Take away what one of us that was killed left beside a file: the text that it was about to put in its place."""
    ours = re.compile(rf"{re.escape(path.name)}\.(?P<pid>\d{{1,10}})\.{re.escape(mark())}")
    for entry in os.listdir(path.parent):
        half = ours.fullmatch(entry)
        if half is not None and isinstance(processes.identify(int(half["pid"])), Gone):
            os.unlink(path.parent / entry)


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        return _stamp(os.stat(path))
    except FileNotFoundError:
        return None


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_size
