"""The journal: what was seen, judged, intended and done, one line each, kept for people.

What happened is recorded as well as can be: with a full disk or a read-only home it waits
in memory, and the watching goes on. What is about to be done is another matter: an intent
that is not in the file forbids the deed.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from sentinel.core.actions import Action
from sentinel.core.events import Event
from sentinel.core.sentences import count
from sentinel.errors import JournalUnwritable
from sentinel.journalfile import KEEP, JournalFile
from sentinel.records import Draft, draft

_PATIENCE = 0.25
"""Seconds to wait for other writers. Once in vain, nobody waits until the file has been free again."""
_HELD_BYTES = 2**20
"""What is kept in memory at most, about 2,000 records."""


class Journal:
    """Appends records to the history. Used by one thread; other processes may write too.

    Numbers (``seq``) grow by one over all writers and files. A gap says that records
    were lost: they did not fit into memory while the file could not be written.

    Args:
        path: The current file; older ones lie beside it as ``.1`` (the youngest), ``.2`` and so on.
        boot_id: The kernel's id of this boot; its beginning goes into the ids of records.
        max_bytes: Size beyond which the file is rotated.
        keep: Number of rotated files that stay.
    """

    def __init__(self, path: Path, boot_id: str, *, max_bytes: int = 8 * 2**20, keep: int = KEEP) -> None:
        self._path = path
        self._boot = "".join(letter for letter in boot_id[:8] if letter.isalnum() and letter.isascii())
        self._file = JournalFile(str(path), max_bytes, keep)
        self._patience = _PATIENCE
        self._held: deque[Draft] = deque()
        self._held_bytes = 0
        self._dropped = 0
        self.trouble = ""
        """Empty, or the sentence that says why the history is not being written."""
        try:
            with self._file.turn(self._patience):
                pass
        except OSError as error:
            self._in_trouble(error)

    def record(self, event: Event, cause: int = 0) -> int:
        """Write down what happened, or keep it until that can be done. Never raises.

        Args:
            event: One that has a ``type``.
            cause: ``seq`` of what led to it.

        Returns:
            Its ``seq``. A record that waited in memory may get a later one, when another
            process has written meanwhile.
        """
        new = draft(event, cause)
        try:
            with self._file.turn(self._patience):
                self._write_held()
                self._write(new)
        except OSError as error:
            self._hold(new)
            self._in_trouble(error)
        return new.seq

    def intend(self, action: Action, cause: int = 0) -> int:
        """Write down what is about to be done; when this returns, it may be done.

        The line is with the kernel then, so it survives the death of this process. It is
        not forced to the disk: a power cut ends the targets as well. What outlives one, a
        file, wants a ``sync`` besides.

        Returns:
            Its ``seq``.

        Raises:
            JournalUnwritable: The whole line is not in the file, or what was held before it is not.
        """
        new = draft(action, cause)
        try:
            with self._file.turn(self._patience):
                self._write_held()
                self._write(new)
        except OSError as error:
            self._in_trouble(error)
            raise JournalUnwritable(self.trouble) from error
        return new.seq

    def sync(self) -> None:
        """Have all that was written survive a power cut: 0.1 ms, at times 4.

        Raises:
            JournalUnwritable: The disk would not take it.
        """
        try:
            self._file.sync()
        except OSError as error:
            self._in_trouble(error)
            raise JournalUnwritable(self.trouble) from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _write(self, new: Draft) -> None:
        self._file.make_room(new.size)
        new.seq = self._file.last + 1
        self._file.append(new.line(self._boot))
        self._file.last = new.seq
        if self.trouble:
            self.trouble = ""
            self._patience = _PATIENCE
            self._dropped = 0

    def _hold(self, new: Draft) -> None:
        new.seq = max(self._file.last, self._held[-1].seq if self._held else 0) + 1
        self._held.append(new)
        self._held_bytes += new.size
        while self._held_bytes > _HELD_BYTES:
            self._held_bytes -= self._held.popleft().size
            self._dropped += 1

    def _write_held(self) -> None:
        """Write what waited, under its own numbers; under later ones where another process took those."""
        moved: dict[int, int] = {}
        while self._held:
            first = self._held[0]
            self._file.make_room(first.size)
            told = first.seq
            first.seq = max(told, self._file.last + 1)
            first.cause = moved.get(first.cause, first.cause)
            moved[told] = first.seq
            self._file.append(first.line(self._boot))
            self._file.last = first.seq
            self._held_bytes -= self._held.popleft().size

    def _in_trouble(self, error: OSError) -> None:
        self._patience = 0.0
        self.trouble = f"{self._path} cannot be written: {error.strerror or error}"
        if self._held:
            self.trouble += f"; {count(len(self._held), 'record')} waiting in memory"
        if self._dropped:
            self.trouble += f", {self._dropped} lost"
