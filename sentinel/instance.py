"""One agent per user: a lock that the kernel gives back when its holder dies.

Whether an agent lives is asked of the lock, never of a pid: the number in the file may be
somebody else's by now. What the file holds is for people.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from sentinel import __version__
from sentinel.atomic import PLAINLY
from sentinel.core.facts import ProcessId
from sentinel.errors import AlreadyRunning, SentinelError
from sentinel.paths import Paths

_LARGEST = 4096
_TRIES = 200
_PAUSE = 0.005
"""Seconds. All tries together give a slow look, which locks too, one second to end."""


class _Written(msgspec.Struct, frozen=True):
    """What the lock file says."""

    pid: int
    start: int
    version: str
    since: datetime


class Condition(StrEnum):
    """How the agent is."""

    RUNNING = "running"
    CRASHED = "crashed"
    """Its lock is free but the file still names it: it had no time to say goodbye."""
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class State:
    """What one look at the lock shows."""

    condition: Condition
    pid: int | None = None
    """Of the agent that holds the lock or held it last; None when the file does not say."""
    start: int | None = None
    """The kernel's start time of that process, see ``ProcessId``."""
    version: str = ""
    since: float | None = None
    """Wall-clock seconds since the epoch."""
    why: str = ""
    """Why the condition is unknown."""


class Claim:
    """The agent's lock, while this process holds it."""

    def __init__(self, lock: Path) -> None:
        self._lock = lock
        self.descriptor, self.before = _locked(lock)
        """``before``: the pid of the agent before, when that did not end in good order; else 0."""

    @property
    def in_place(self) -> bool:
        """Whether the lock is still what others find under its name."""
        try:
            found = os.lstat(self._lock)
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self.descriptor))

    def renew(self) -> None:
        """Take the lock anew: its file or its directory was removed, and it keeps nobody out any more.

        Raises:
            AlreadyRunning: another agent has it by now.
            SentinelError: the lock file cannot be made.
        """
        fresh, _ = _locked(self._lock)
        os.close(self.descriptor)
        self.descriptor = fresh


def _locked(lock: Path) -> tuple[int, int]:
    """The descriptor that holds the lock, and the pid of whom the file still named."""
    descriptor = _open(lock)
    try:
        _lock(descriptor, lock)
    except SentinelError:
        os.close(descriptor)
        raise
    before = _read(descriptor)
    _write(descriptor)
    return descriptor, before.pid if before else 0


@contextmanager
def claim(paths: Paths) -> Iterator[Claim]:
    """Be the agent for as long as the context lasts.

    An end in good order empties the file. An error leaves it as it is, like a crash. The
    file is never unlinked: a lock on a file without a name would keep nobody out.

    Raises:
        AlreadyRunning: another agent is. Nothing has been written.
        SentinelError: the lock file cannot be used.
    """
    held = Claim(paths.lock)
    in_good_order = False
    try:
        yield held
        in_good_order = True
    except (KeyboardInterrupt, SystemExit):
        in_good_order = True
        raise
    finally:
        _leave(held.descriptor, empty=in_good_order)
        os.close(held.descriptor)


def look(paths: Paths) -> State:
    """Tell whether an agent lives. Takes a shared lock for some microseconds, writes nothing."""
    try:
        descriptor = os.open(paths.lock, PLAINLY)
    except FileNotFoundError:
        return State(Condition.STOPPED)
    except OSError as error:
        return State(Condition.UNKNOWN, why=f"{paths.lock}: {error.strerror}")
    try:
        is_free = _try(descriptor, fcntl.LOCK_SH)
        content = os.pread(descriptor, _LARGEST, 0)
    except OSError as error:
        return State(Condition.UNKNOWN, why=f"{paths.lock}: {error.strerror}")
    finally:
        os.close(descriptor)
    if is_free and not content:
        return State(Condition.STOPPED)
    condition = Condition.CRASHED if is_free else Condition.RUNNING
    try:
        said = msgspec.json.decode(content, type=_Written)
    except msgspec.MsgspecError:  # the agent is about to write, or the disk was full
        return State(condition)
    return State(condition, said.pid, said.start, said.version, said.since.timestamp())


def _open(lock: Path) -> int:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise SentinelError(f"cannot open the lock file {lock}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise SentinelError(f"the lock file {lock} is not a regular file")
    return descriptor


def _lock(descriptor: int, lock: Path) -> None:
    """Lock, or tell apart who is in the way: agents lock alone, looks share."""
    for _ in range(_TRIES):
        if _try(descriptor, fcntl.LOCK_EX):
            return
        if not _try(descriptor, fcntl.LOCK_SH):
            raise AlreadyRunning(_already_running(descriptor))
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(_PAUSE)
    raise SentinelError(f"the lock file {lock} is held by a process that is not an agent")


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _already_running(descriptor: int) -> str:
    said = _read(descriptor)
    if said is None:
        return "already running"
    return f"already running (PID {said.pid}, since {said.since.astimezone():%Y-%m-%d %H:%M:%S})"


def _read(descriptor: int) -> _Written | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, _LARGEST, 0), type=_Written)
    except (OSError, msgspec.MsgspecError):
        return None


def _write(descriptor: int) -> None:
    from sentinel.observe import processes

    who = processes.identify(os.getpid())
    start = who.start if isinstance(who, ProcessId) else 0
    said = _Written(os.getpid(), start, __version__, datetime.now(UTC).replace(microsecond=0))
    with suppress(OSError):  # a full disk: the lock is what counts
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, msgspec.json.encode(said) + b"\n", 0)


def _leave(descriptor: int, *, empty: bool) -> None:
    if empty:
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
    # A child that was forked and has not replaced its program yet shares the lock: closing
    # our descriptor would not free it.
    fcntl.flock(descriptor, fcntl.LOCK_UN)
