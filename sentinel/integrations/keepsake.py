"""What a file was before Sentinel wrote into it, where that cannot be seen from what it is now.

Whether there was no file, or one that said ``{}``, the text with our entries taken out does not
tell. Only then it is kept, in the state directory, for the day on which they are taken out.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from sentinel import atomic, paths
from sentinel.errors import SentinelError

_LARGEST = 4 << 20


class _Kept(msgspec.Struct):
    after: str
    """SHA-256 of the text that we left."""
    before: str | None
    now: str = ""
    """SHA-256 of the text of ours that this one replaces: whoever is killed in between has left that."""


def leave(state: Path, name: str, before: str | None, after: str, *, without: str, now: str) -> None:
    """Keep ``before`` (None: there was no file), unless ``without`` our entries ``after`` says the same.

    ``now`` is what the file still says, with older entries of ours if it is not what was before.

    Raises:
        SentinelError: It cannot be kept.
    """
    if without == before:
        drop(state, name)
        return
    kept = _Kept(_digest(after), before, _digest(now) if now != (before or "") else "")
    try:
        paths.make(_file(state, name).parent)  # the state directory may be among the missing
        atomic.replace_file(_file(state, name), msgspec.json.encode(kept))
    except OSError as error:
        raise SentinelError(f"{_file(state, name)} cannot be written: {error.strerror}") from error


def of(state: Path, name: str, now: str) -> tuple[bool, str | None]:
    """Whether something was kept for a file that is as we left it, and what."""
    try:
        kept = msgspec.json.decode(atomic.read_file(_file(state, name), _LARGEST), type=_Kept)
    except (OSError, msgspec.MsgspecError):
        return False, None
    return (True, kept.before) if _digest(now) in {kept.after, kept.now} else (False, None)


def drop(state: Path, name: str) -> None:
    """Keep it no longer."""
    with suppress(OSError):
        os.unlink(_file(state, name))
        os.rmdir(_file(state, name).parent)


def _file(state: Path, name: str) -> Path:
    return state / "integrations" / f"{name}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
