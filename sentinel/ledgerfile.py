"""The file in which an agent leaves its ledger to the next one.

It serves within one boot only, so nothing is synced to the disk. It is replaced whole, and
what is not as this version writes it is not believed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

import msgspec

from sentinel.atomic import replace_file
from sentinel.core.snapshot import Saved, contradiction

_VERSION = 1
_LARGEST = 64 << 20
"""Bytes; a process takes 200."""


class Unusable(Exception):
    """The file is there and must not be believed. The text says why."""


class _File(msgspec.Struct):
    version: int
    boot: str
    sessions: tuple[Saved, ...]


def encode(sessions: tuple[Saved, ...], boot: str) -> bytes:
    """The content of the file. ``boot`` is the kernel's id of this boot."""
    file = _File(_VERSION, boot, sessions)
    try:
        return msgspec.json.encode(file)
    except UnicodeEncodeError:  # a path that is no UTF-8, see PEP 383
        import json

        return json.dumps(msgspec.to_builtins(file)).encode("ascii")


def write(path: Path, content: bytes) -> None:
    """Replace the file.

    Raises:
        OSError: It cannot be written; the old one, which is not true any more, is gone too.
    """
    try:
        replace_file(path, content)
    except OSError:
        erase(path)
        raise


def erase(path: Path) -> None:
    """Leave nothing."""
    with suppress(OSError):
        path.unlink()


def read(path: Path, boot: str) -> tuple[Saved, ...]:
    """What the last agent of this boot left; empty when there was none.

    Raises:
        Unusable: It is damaged, somebody else's, or a newer version's.
    """
    try:
        raw = _content(path)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise Unusable(f"it cannot be read: {error.strerror}") from error
    import json

    try:
        found = json.loads(raw)
        if found["boot"] != boot:
            return ()
        if found["version"] != _VERSION:
            raise Unusable(f"it is of version {found['version']:d}, and this Sentinel knows {_VERSION}")
        sessions = msgspec.convert(found, _File).sessions
    except (ValueError, LookupError, TypeError, RecursionError, msgspec.MsgspecError) as error:
        raise Unusable("it is damaged") from error
    if why := contradiction(sessions):
        raise Unusable(f"it is damaged: {why}")
    return sessions


def set_aside(path: Path) -> None:
    """Keep a file that must not be believed, for a person to look at, out of the way."""
    with suppress(OSError):
        os.replace(path, path.with_suffix(".damaged"))


def _content(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o022:
            raise Unusable("it is no file of ours alone")
        if found.st_uid != os.geteuid():
            raise Unusable(f"it belongs to another user (uid {found.st_uid})")
        if found.st_size > _LARGEST:
            raise Unusable(f"it is larger than {_LARGEST >> 20} MiB")
        return file.read(_LARGEST)
