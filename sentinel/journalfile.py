"""The file under the journal: whole lines appended by several writers, rotated by size.

Each line is one ``write`` to a descriptor opened with ``O_APPEND``: once the call returns,
the line outlives the death of its writer. An flock on the file itself gives writers their
turn; whoever has it looks whether the file is still the one with the name, since a rotation
may have come in between.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from sentinel.atomic import PLAINLY, lock

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
KEEP = 4
"""Rotated files that stay, unless somebody wants another number."""
_FIRST_WINDOW = 4096
_PAUSE = 0.0002
"""Seconds between two tries for the lock. A turn takes 20 us."""
_ROTATION_PATIENCE = 0.25
"""Seconds to wait for those who found the new file first."""
_LARGEST_SEQ = 2**53
"""What JSON readers in other languages can hold; beyond it a number is damage."""


class _Numbered(msgspec.Struct):
    seq: int


_read_seq = msgspec.json.Decoder(_Numbered).decode


def rotated(path: str, number: int) -> str:
    """Name of the file that was current ``number`` rotations ago."""
    return f"{path}.{number}" if number else path


class JournalFile:
    """Numbered lines in files of bounded size. Methods but ``sync`` and ``close`` need the turn.

    Args:
        path: The current file; its directory must be there and belong to us.
        max_bytes: Size beyond which it is rotated.
        keep: Number of rotated files that stay.
    """

    def __init__(self, path: str, max_bytes: int, keep: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._fd = -1
        self._identity = (0, 0)
        self._size = 0
        """As we left it. Another size means that somebody else wrote."""
        self._torn = False
        self.last = 0
        """``seq`` of the last record, whoever wrote it; also of one that has been lost since."""

    @contextmanager
    def turn(self, patience: float) -> Iterator[None]:
        """Be the only writer, at the end of the current file.

        Args:
            patience: Seconds to wait for another writer. One that is stopped (SIGSTOP, a
                debugger) in its turn keeps it, and must not stop us.

        Raises:
            OSError: The file cannot be opened, is none of ours, or the wait was in vain (EAGAIN).
        """
        self._take_turn(time.monotonic() + patience)
        try:
            yield
        finally:
            if self._fd >= 0:
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def make_room(self, size: int) -> None:
        """Rotate if ``size`` more bytes are too many. Others may write then: take the number later.

        Raises:
            OSError: The new file cannot be made, or was kept locked for too long.
        """
        if self._size > 0 and self._size + size > self._max_bytes:
            self._rotate()

    def append(self, line: bytes) -> None:
        """Write one line, whole or not at all. After a torn one it begins on a line of its own.

        Raises:
            OSError: It is not in the file. A full disk is ENOSPC also when part of it fitted.
        """
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(self._fd, line)
        except OSError:
            self._size = -1  # who knows: the next turn looks
            raise
        if written < len(line):
            self._take_back()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written
        self._torn = False

    def sync(self) -> None:
        """Have what was written survive a power cut. Raises OSError."""
        if self._fd >= 0:
            # macOS has no fdatasync.
            getattr(os, "fdatasync", os.fsync)(self._fd)

    def close(self) -> None:
        """Let go of the file. The next turn opens it again."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    # -- the turn ------------------------------------------------------------------

    def _take_turn(self, deadline: float) -> None:
        while True:
            if self._fd < 0:
                self._open()
            self._lock(deadline)
            try:
                found = os.stat(self._path, follow_symlinks=False)
            except FileNotFoundError:
                found = None
            except OSError:
                self.close()
                raise
            if found is not None and (found.st_dev, found.st_ino) == self._identity:
                break
            self.close()  # it was rotated or removed while we waited, and the lock goes with it
        if found.st_size != self._size:
            self._catch_up(found.st_size)

    def _open(self) -> None:
        fd = os.open(self._path, _FLAGS, 0o600)
        found = os.fstat(fd)
        if why := _what_is_wrong(found):
            os.close(fd)
            raise OSError(errno.EPERM, why)
        if found.st_mode & 0o077:
            os.fchmod(fd, 0o600)
        self._fd = fd
        self._identity = (found.st_dev, found.st_ino)
        self._size = -1

    def _lock(self, deadline: float) -> None:
        if not lock(self._fd, fcntl.LOCK_EX, deadline=deadline, pause=_PAUSE):
            raise OSError(errno.EAGAIN, "another process keeps it locked")

    # -- the end of the file -------------------------------------------------------

    def _catch_up(self, size: int) -> None:
        self._size = size
        self._torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
        seq = last_seq(self._fd, size)
        for number in range(1, self._keep + 1):
            if seq:
                break  # the older files matter only while a new one is empty
            with suppress(OSError):
                seq = _last_seq_of(rotated(self._path, number))
        self.last = max(self.last, seq)

    def _take_back(self) -> None:
        """Remove the part of a line that fitted. Nobody else has written: it is our turn."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._size = -1  # the next turn finds a torn end and begins a new line

    def _rotate(self) -> None:
        """Shift the files by one and go on in a new one, in a turn that may not be the next.

        Should a rename fail, the file grows on: a history that is too long beats a lost record.
        """
        try:
            for number in range(self._keep - 1, -1, -1):
                with suppress(FileNotFoundError):
                    os.rename(rotated(self._path, number), rotated(self._path, number + 1))
        except OSError:
            return
        self.close()
        self._take_turn(time.monotonic() + _ROTATION_PATIENCE)


def _what_is_wrong(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "it is not a regular file"
    return "" if found.st_uid == os.geteuid() else "it belongs to another user"


def last_seq(fd: int, size: int) -> int:
    """``seq`` of the last undamaged record of a file; 0 when it has none."""
    window = _FIRST_WINDOW
    while True:
        start = max(0, size - window)
        # The first line of a window may have begun before it. Cut, it is no JSON object.
        for line in reversed(os.pread(fd, size - start, start).split(b"\n")):
            if seq := seq_of(line):
                return seq
        if start == 0:
            return 0
        window *= 8


def seq_of(line: bytes) -> int:
    """The number of a record; 0 when it is damaged."""
    try:
        seq = _read_seq(line).seq
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
    return seq if is_seq(seq) else 0


def is_seq(value: object) -> bool:
    """Whether it can be the number of a record."""
    return type(value) is int and 0 < value < _LARGEST_SEQ


def _last_seq_of(path: str) -> int:
    fd = os.open(path, PLAINLY)
    try:
        return last_seq(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
