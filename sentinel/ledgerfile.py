"""The file in which an agent leaves its ledger to the next one.

It serves within one boot only, so nothing is synced to the disk. It is replaced whole, and
what is not as this version writes it is not believed.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from sentinel import atomic
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
    return atomic.encode(_File(_VERSION, boot, sessions))


def write(path: Path, content: bytes) -> None:
    """Replace the file.

    Raises:
        OSError: It cannot be written; the old one, which is not true any more, is gone too.
    """
    try:
        atomic.replace_file(path, content)
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
        raw = atomic.read_file(path, _LARGEST)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise Unusable(f"it cannot be read: {error.strerror}") from error
    import json  # reads what msgspec would not: a name that is no UTF-8

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
