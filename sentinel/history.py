"""The journal, read: in order over rotated files, while others write and rotate it.

A reader takes no lock. It keeps the file it reads open, so that a rotation may rename or
even remove it, and knows files by device and inode. Nobody writes to a file once another
has its name; so a file is through when its end was reached after that was seen.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sentinel.atomic import PLAINLY, replace_file
from sentinel.errors import SentinelError
from sentinel.journalfile import KEEP, is_seq, last_seq, rotated, seq_of
from sentinel.records import MAX_LINE

Record = Mapping[str, object]

_BLOCK = 256 * 1024
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, as an object and as the text of its line."""

    record: Record
    text: str

    @property
    def seq(self) -> int:
        """Its number."""
        seq = self.record["seq"]
        return seq if isinstance(seq, int) else 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the history: after the record ``seq``, whose line ends at ``offset``."""

    inode: int = 0
    offset: int = 0
    seq: int = 0

    @classmethod
    def load(cls, path: Path) -> Cursor | None:
        """Read a cursor that was saved. None when nothing was saved there yet.

        Raises:
            SentinelError: The file holds something else, or cannot be read.
        """
        try:
            saved = path.read_bytes()
            return msgspec.json.decode(saved, type=cls) if saved.strip() else None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SentinelError(f"{path} cannot be read: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SentinelError(f"{path} is not a cursor file of Sentinel; remove it to begin anew") from error

    def save(self, path: Path) -> None:
        """Put the cursor in the place of what was there, in one step.

        Raises:
            SentinelError: It cannot be written.
        """
        try:
            replace_file(path, msgspec.json.encode(self) + b"\n")
        except OSError as error:
            raise SentinelError(f"the cursor cannot be written to {path}: {error.strerror}") from error


class History:
    """A reader of the journal that knows how far it has come.

    Args:
        path: The current file. It need not exist yet.
        after: Where to go on. By default the first record there is.
    """

    def __init__(self, path: Path, after: Cursor | None = None) -> None:
        self._path = str(path)
        self._after = after
        self._files: deque[_File] = deque()
        """The one being read, and those known to follow it."""
        self._read_before = 0
        """``seq`` up to which records are passed over, when the cursor's place is gone."""
        self.cursor = after or Cursor()
        """After the last record that was read."""
        self.damaged = 0
        """Lines that were no records, and were passed over."""

    def read(self) -> Iterator[Entry]:
        """All records that are there and have not been read yet.

        Raises:
            SentinelError: A file cannot be read.
        """
        if not self._files:
            self._begin()
        while self._files:
            current = self._files[0]
            yield from self._entries(current, superseded=len(self._files) > 1)
            if len(self._files) > 1:
                self._files.popleft().close()
            elif newer := self._newer_than(current):
                self._files.extend(newer)  # and the current one is read once more: it had time to grow
            else:
                return

    def last(self, number: int, wanted: Callable[[Record], bool] = lambda _: True) -> list[Entry]:
        """The last records that are wanted, in order; then everything counts as read.

        Raises:
            SentinelError: A file cannot be read.
        """
        self.close()
        files = self._newer_than(None)
        found: list[Entry] = []
        placed = False
        for entry, place in self._backwards(files):
            if not placed:
                self.cursor, placed = place, True
            if len(found) == number:
                break
            if wanted(entry.record):
                found.append(entry)
        for file in files[:-1]:
            file.close()
        self._files.extend(files[-1:])
        return found[::-1]

    def close(self) -> None:
        """Let go of all files; the next ``read`` begins where this one was made to begin."""
        while self._files:
            self._files.popleft().close()

    # -- files ---------------------------------------------------------------------

    def _begin(self) -> None:
        files = self._newer_than(None)
        place = self._after
        if place is not None and place.seq:
            for number, file in enumerate(files):
                if file.ends_at(place):
                    file.offset = place.offset
                    for former in files[:number]:
                        former.close()
                    files = files[number:]
                    break
            else:
                # Its file is gone. Numbers tell what was read, unless the history was begun anew.
                newest = max((file.last_seq() for file in files), default=0)
                self._read_before = place.seq if newest >= place.seq else 0
        self._files.extend(files)

    def _newer_than(self, current: _File | None) -> list[_File]:
        """Open what follows ``current``, oldest first; with None, everything.

        From the newest to the oldest, since that is the way files move: one that is
        renamed meanwhile is met twice, never missed.
        """
        if current is not None and current.identity == _identity(self._path):
            return []
        found: list[_File] = []
        for number in range(KEEP + 1):
            file = _File.open(rotated(self._path, number))
            if file is None:
                continue
            if current is not None and file.identity == current.identity:
                file.close()
                break
            if any(file.identity == other.identity for other in found):
                file.close()
            else:
                found.append(file)
        return found[::-1]

    # -- lines ---------------------------------------------------------------------

    def _entries(self, file: _File, *, superseded: bool) -> Iterator[Entry]:
        for line, end in file.lines(superseded=superseded):
            file.offset = end
            entry = self._entry(line)
            if entry is None:
                continue
            self.cursor = Cursor(file.identity[1], end, entry.seq)
            if entry.seq > self._read_before:
                self._read_before = 0
                yield entry

    def _backwards(self, files: list[_File]) -> Iterator[tuple[Entry, Cursor]]:
        for file in reversed(files):
            lines = list(file.lines(superseded=file is not files[-1]))
            if lines:
                file.offset = lines[-1][1]
            for line, end in reversed(lines):
                if (entry := self._entry(line)) is not None:
                    yield entry, Cursor(file.identity[1], end, entry.seq)

    def _entry(self, line: bytes) -> Entry | None:
        if not line:
            return None
        try:
            record, text = _decode(line), line.decode()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record, text = None, ""
        if isinstance(record, dict) and is_seq(record.get("seq")) and isinstance(record.get("type"), str):
            return Entry(record, text)
        self.damaged += 1
        return None


class _File:
    """An open file of the history and how far it was read."""

    def __init__(self, fd: int, identity: tuple[int, int]) -> None:
        self._fd = fd
        self.identity = identity
        self.offset = 0

    @classmethod
    def open(cls, path: str) -> _File | None:
        """None when there is none. Raises SentinelError when it cannot be read."""
        try:
            fd = os.open(path, PLAINLY)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SentinelError(f"{path} cannot be read: {error.strerror}") from error
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise SentinelError(f"{path} cannot be read: it is not a regular file")
        return cls(fd, (found.st_dev, found.st_ino))

    def close(self) -> None:
        os.close(self._fd)

    def last_seq(self) -> int:
        return last_seq(self._fd, os.fstat(self._fd).st_size)

    def ends_at(self, place: Cursor) -> bool:
        """Whether a line with that number ends there: an inode alone is used again soon."""
        if self.identity[1] != place.inode:
            return False
        start = max(0, place.offset - MAX_LINE)
        before = os.pread(self._fd, place.offset - start, start)
        if start + len(before) != place.offset or not before.endswith(b"\n"):
            return False
        return seq_of(before[:-1].rpartition(b"\n")[2]) == place.seq

    def lines(self, *, superseded: bool) -> Iterator[tuple[bytes, int]]:
        """Whole lines from ``offset`` on, each with the place where it ends.

        What follows the last line feed is being written, or was torn; in a superseded file
        nobody will complete it, so it counts as a line.
        """
        at = self.offset
        if os.fstat(self._fd).st_size < at:
            at = self.offset = 0  # somebody emptied it
        rest = b""
        while block := os.pread(self._fd, _BLOCK, at + len(rest)):
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                at += len(line) + 1
                yield line, at
        if superseded and rest:
            yield rest, at + len(rest)


def _identity(path: str) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.stat(path, follow_symlinks=False)
        return found.st_dev, found.st_ino
    return None
