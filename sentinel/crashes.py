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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def last_words(path: Path) -> Iterator[None]:
    """While this process is the agent: have it say at ``path`` what it dies of.

    An error is written down and goes on; so is where the loop was when a signal ends us.
    """
    try:
        file = open(path, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - closed below
    except OSError:  # a full disk, a home that cannot be written: it dies without a word
        yield
        return
    with file:
        os.chmod(path, 0o600)
        faulthandler.enable(file, all_threads=False)  # the loop's: that is what stands still
        try:
            yield
        except Exception as error:
            with suppress(OSError):
                traceback.print_exception(error, file=file)
            raise
        finally:
            faulthandler.disable()


def known(path: Path) -> tuple[Crash, ...]:
    """The crashes that are remembered, oldest first. What cannot be read is forgotten."""
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(_LARGEST), type=tuple[Crash, ...])
    except (OSError, msgspec.MsgspecError):
        return ()


def note(path: Path, words: Path) -> None:
    """Remember that the agent before has crashed, with its last words."""
    crashes = (*known(path), Crash(time.time(), __version__, _read(words)))
    with suppress(OSError):  # a full disk: it is not counted then, and systemd's own limit holds
        replace_file(path, _encode(crashes[-_REMEMBERED:]))


def why_safe(path: Path) -> str:
    """Why an agent that finds the one before it crashed starts in safe mode; empty when it does not."""
    now = time.time()
    recent = 1 + sum(now - WITHIN < crash.at <= now for crash in known(path))
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
    return tuple(clean(line, _LONGEST) for line in lines[-_LINES:] if line.strip())


def _encode(crashes: tuple[Crash, ...]) -> bytes:
    content = msgspec.json.encode(crashes)
    while len(content) > _LARGEST:
        crashes = crashes[1:]
        content = msgspec.json.encode(crashes)
    return content
