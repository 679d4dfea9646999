"""A lock that falls with its holder, whatever happened to it.

The name of the lock is given to a file that is complete (link(2) fails when the name is
taken), so no reader sees half of it. A lock is stale when its holder is proven dead, at
whatever age, and only then. Who takes a stale lock over, or gives a lock back, holds
``flock`` on the very inode that the name leads to, and looks once more that it still does:
so of many who find the same stale lock one wins, and nobody takes the winner's away. The
kernel drops an flock with its holder; nothing has to be cleaned up after the cleaner.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sentinel.atomic import PLAINLY
from sentinel.core.facts import Unknown
from sentinel.core.sanitise import clean
from sentinel.errors import SentinelError
from sentinel.locks.holder import Holder, decode, encode

_LARGEST = 4096
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05
"""Seconds between two looks at a lock that is held: doubled each time."""
_DIGITS = 10


class LockHeld(SentinelError):
    """Somebody else holds the lock, or nobody can tell who does."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class CannotLock(SentinelError):
    """No lock can be made there, whoever waits for it."""

    exit_code = 73  # EX_CANTCREAT of sysexits.h


class Lock:
    """A lock at a path, to be used once at a time.

    Args:
        path: The lock's file. Its directory must be there and the caller's to write.
        timeout: Seconds to wait for it; 0 tries once.
        session: A name for people, shown to whoever finds the lock held.
        pid: The process that holds it; by default the caller. It must live.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, timeout: float = 10.0, session: str = "", pid: int | None = None
    ) -> None:
        self.path = Path(path)
        self._timeout = timeout
        self._session = session
        self._pid = pid
        self._mine: Holder | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def held(self) -> bool:
        """Whether this object took the lock and has not given it back."""
        return self._mine is not None

    def acquire(self) -> Holder:
        """Take the lock, from a dead holder if need be.

        Raises:
            LockHeld: It was held for the whole timeout.
            CannotLock: No lock can be made there.
        """
        deadline = time.monotonic() + self._timeout
        pause = _FIRST_PAUSE
        while True:
            taken = self._try()
            if isinstance(taken, Holder):
                return taken
            if (left := deadline - time.monotonic()) <= 0:
                raise LockHeld(f"{clean(str(self.path))} is held: {taken}")
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def release(self) -> None:
        """Give the lock back, if it is still the one that was taken."""
        mine, self._mine = self._mine, None
        if mine is not None:
            give_back(self.path, mine.__eq__)

    def _try(self) -> Holder | str:
        """Take it now, or say who has it."""
        seen = look(self.path)
        if isinstance(seen, Holder) and seen.ended() is False:
            return f"by {seen}"  # without a file of ours beside it, at each look
        try:
            _trust(self.path.parent)
            me = Holder.of(self._pid or os.getpid(), session=self._session, since=time.time())
            fresh = _write_aside(self.path, encode(me))
        except OSError as error:
            raise self._refused(error) from error
        try:
            trouble = _claim(fresh, self.path)
        except OSError as error:
            raise self._refused(error) from error
        finally:
            with suppress(FileNotFoundError):
                os.unlink(fresh)
        self._mine = None if trouble else me
        return trouble or me

    def _refused(self, error: OSError) -> CannotLock:
        return CannotLock(f"no lock can be made at {clean(str(self.path))}: {error.strerror or error}")


def look(path: Path) -> Holder | Unknown | None:
    """Who holds the lock at ``path``; None when nothing is there."""
    try:
        fd = os.open(path, PLAINLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Unknown("who holds it", error.strerror or str(error))
    try:
        return _holder(fd)
    finally:
        os.close(fd)


def give_back(path: Path, belongs: Callable[[Holder], bool]) -> bool:
    """Remove a lock that belongs to the caller; False when it does not.

    Args:
        path: Where it is.
        belongs: Asked with its holder while nobody else can change it. (The inode tells nothing: a
            file system gives the number of a removed file to the next one.)
    """
    fd = _grip(path, wait=True)
    if isinstance(fd, str):
        return False
    try:
        holder = _holder(fd)
        if isinstance(holder, Unknown) or not belongs(holder):
            return False
        os.unlink(path)
    finally:
        os.close(fd)
    return True


def _claim(fresh: str, path: Path) -> str:
    """Give ``fresh`` the lock's name. Empty when that is done, else who is in the way."""
    try:
        os.link(fresh, path, follow_symlinks=False)
    except FileExistsError:
        pass
    else:
        return ""
    fd = _grip(path, wait=False)
    if isinstance(fd, str):
        return fd
    try:
        holder = _holder(fd)
        ended = holder if isinstance(holder, Unknown) else holder.ended()
        if isinstance(ended, Unknown):
            return str(ended)
        if not ended:
            return f"by {holder}"
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            _put_aside(path, fd)
            return "by a process that has ended; its directory was put aside just now"
        os.rename(fresh, path)
    finally:
        os.close(fd)
    return ""


def _grip(path: Path, *, wait: bool) -> int | str:
    """A descriptor on what the name leads to, with the right to change that; or why there is none.

    Until the descriptor is closed nobody who keeps to these rules gives the name to
    something else.
    """
    try:
        fd = os.open(path, PLAINLY)
    except FileNotFoundError:
        return "it was given back just now"
    except OSError as error:
        return f"by something that cannot be looked at ({error.strerror})"
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.path.samestat(os.lstat(path), os.fstat(fd)):
            return fd
    except BlockingIOError:
        os.close(fd)
        return "by somebody who takes it over just now"
    except FileNotFoundError:
        pass
    os.close(fd)
    return "it changed hands just now"


def _holder(fd: int) -> Holder | Unknown:
    status = os.fstat(fd)
    question = "who holds it"
    if status.st_uid != os.geteuid():
        return Unknown(question, f"it belongs to another user (uid {status.st_uid})")
    if stat.S_ISDIR(status.st_mode):
        return _holder_of_directory(fd)
    if not stat.S_ISREG(status.st_mode):
        return Unknown(question, "it is not a plain file")
    return decode(os.pread(fd, _LARGEST, 0)) or Unknown(question, "its content is not a lock's")


def _holder_of_directory(fd: int) -> Holder | Unknown:
    """A lock by mkdir(1), with the number of its holder in a file ``pid``."""
    try:
        inner = os.open("pid", PLAINLY, dir_fd=fd)
        try:
            content = os.pread(inner, _LARGEST, 0).strip()
        finally:
            os.close(inner)
    except OSError as error:
        return Unknown("who holds it", f"its file pid cannot be read ({error.strerror})")
    if not content.isdigit() or len(content) > _DIGITS:
        return Unknown("who holds it", "its file pid holds no number")
    return Holder(int(content), 0)


def _put_aside(path: Path, fd: int) -> None:
    """Take its name from a stale directory lock. Those who use ``mkdir`` do not ask anybody first.

    So what has been moved is looked at again: if somebody made it anew in the meantime, it
    gets its name back.
    """
    aside = f"{path}.stale-{os.urandom(6).hex()}"
    os.rename(path, aside)
    if not os.path.samestat(os.lstat(aside), os.fstat(fd)):
        os.rename(aside, path)  # fails when yet another is there by now, and loses nothing
        return
    with suppress(OSError):
        os.unlink(os.path.join(aside, "pid"))
        os.rmdir(aside)


def _trust(directory: Path) -> None:
    """Refuse a directory in which anybody may exchange the lock for another."""
    mode = os.stat(directory).st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise PermissionError(errno.EPERM, f"everybody may write to the directory {clean(str(directory))}")


def _write_aside(path: Path, content: bytes) -> str:
    fresh = f"{path}.{os.getpid()}-{os.urandom(6).hex()}"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with open(fd, "wb") as file:  # writes all of it, or fails
            file.write(content)
    except OSError:
        os.unlink(fresh)
        raise
    return fresh
