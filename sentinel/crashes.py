"""What is known of the agent's crashes, and whether they have become a loop.

An agent that ends in good order empties its lock file; one that finds the file full knows
that the one before it died. Its last words - the traceback of an error, or what
``faulthandler`` wrote when the watchdog or the kernel ended it - lie in a file of their own,
which the next agent reads, keeps and empties.
"""

from __future__ import annotations

import faulthandler
import os
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from sentinel import __version__
from sentinel.atomic import replace_file
from sentinel.config import Config, Sources
from sentinel.core.policy import Mode
from sentinel.core.sanitise import clean

LOOP = 3
"""So many crashes ..."""
WITHIN = 60.0
"""... within so many seconds are a loop."""
_REMEMBERED = 8
_LINES = 60
_LONGEST = 300
"""Characters of a line."""
_LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Crash:
    """An agent that ended without a word, or with the wrong one."""

    at: float
    """When the next agent found it out; wall-clock seconds since the epoch."""
    version: str
    """Of the one that found it."""
    words: tuple[str, ...] = ()
    """The lines of its traceback, clean; empty where it had no time to write any."""


class LastWords:
    """The file that a dying agent writes into, while this process is the agent."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - it is held to the end
        os.chmod(path, 0o600)
        faulthandler.enable(self._file)

    def take(self, error: BaseException) -> None:
        """Write down what this process is about to end with."""
        with suppress(OSError):
            traceback.print_exception(error, file=self._file)
            self._file.flush()

    def close(self) -> None:
        """Nothing is said any more."""
        faulthandler.disable()
        self._file.close()


def known(path: Path) -> tuple[Crash, ...]:
    """The crashes that are remembered, oldest first. What cannot be read is forgotten."""
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(_LARGEST), type=tuple[Crash, ...])
    except (OSError, msgspec.MsgspecError):
        return ()


def note(path: Path, words: Path, now: float | None = None) -> tuple[Crash, ...]:
    """Remember that the agent before has crashed, with its last words. All that are remembered now."""
    crash = Crash(time.time() if now is None else now, __version__, _read(words))
    crashes = (*known(path), crash)[-_REMEMBERED:]
    with suppress(OSError):  # a full disk: it is not counted then, and systemd's own limit holds
        replace_file(path, _encode(crashes))
    return crashes


def why_safe(crashes: tuple[Crash, ...], now: float | None = None) -> str:
    """Why the agent is to start in safe mode: a sentence, empty when it is not."""
    since = (time.time() if now is None else now) - WITHIN
    recent = sum(crash.at > since for crash in crashes)
    return f"it crashed {recent} times within {WITHIN:g} s" if recent >= LOOP else ""


def harmless() -> Config:
    """The wishes in safe mode: ours, but nothing is ended, and the kernel's notices are not listened to.

    Whatever crashed it stays out: the configuration is not read, nor is what the agent
    before left (the ledger), nor the journal; births and deaths are sampled.
    """
    config = Config()
    return replace(config, policy=replace(config.policy, mode=Mode.OBSERVE), sources=Sources("polling"))


def _read(words: Path) -> tuple[str, ...]:
    try:
        with open(words, "rb") as file:
            lines = file.read(_LARGEST).splitlines()
    except OSError:
        return ()
    return tuple(clean(line, _LONGEST) for line in lines[-_LINES:])


def _encode(crashes: tuple[Crash, ...]) -> bytes:
    content = msgspec.json.encode(crashes)
    while len(content) > _LARGEST:
        crashes = crashes[1:]
        content = msgspec.json.encode(crashes)
    return content
