"""The registry: sessions that say of themselves that they are there.

One SQLite file, which any number of processes write at once: each change is a transaction
of its own, so a writer may be killed at any point. SQLite's write-ahead log with
``synchronous=NORMAL`` survives the death of every process; a power cut may cost the last
changes, and ends the sessions as well.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from sentinel.core.facts import ProcessId
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.registry import schema
from sentinel.registry.entries import REPLACED, Entry, Place, Proof
from sentinel.registry.errors import RegistryBusy, RegistryDamaged, RegistryUnusable

PATIENCE = 5.0
"""Seconds to wait for other writers."""
_LONGEST = {"id": 120, "kind": 40, "name": 200, "project": 4096}
_LABELS = 4096
"""Characters of all labels together."""
_SELECT = """
    SELECT json_object(
        'id', id, 'generation', generation, 'kind', kind, 'name', name, 'project', project, 'labels', json(labels),
        'place', json_object('host', host, 'boot', boot, 'namespace', namespace),
        'root', json_array(pid, start), 'status', status, 'registered', registered,
        'heartbeat', heartbeat, 'beat', beat, 'ended', ended, 'why', why,
        'children', (SELECT json_group_array(json_array(json_array(c.pid, c.start), c.proof)) FROM children c
                     WHERE c.id = s.id AND c.generation = s.generation))
    FROM sessions s"""
_decode = msgspec.json.Decoder(Entry).decode


class Store:
    """The registry's file, opened. Used by one thread.

    Args:
        path: The file; it is made if need be, for its user alone.
        patience: Seconds to wait for other writers.
        now: Wall clock and monotonic clock, for tests.
        writes: Without, the file is only read: neither made nor brought to the present form.

    Raises:
        RegistryDamaged: What is there is no registry.
        RegistryUnusable: It cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        patience: float = PATIENCE,
        now: tuple[Callable[[], float], Callable[[], float]] = (time.time, time.monotonic),
        writes: bool = True,
    ) -> None:
        self.path = path
        self._patience = patience
        self._wall, self._monotonic = now
        with self._told():
            (_make if writes else _refuse_link)(path)
            place = f"{path.as_uri()}?mode={'rw' if writes else 'ro'}"
            self._connection = sqlite3.connect(place, timeout=patience, isolation_level=None, uri=True)
            self._opened = os.stat(path)
        try:
            with self._told():
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.execute("PRAGMA foreign_keys = ON")
                (schema.prepare if writes else schema.version)(self._connection)
        except SentinelError:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @property
    def in_place(self) -> bool:
        """Whether the file that is open here is still what others find under its name."""
        try:
            return os.path.samestat(os.lstat(self.path), self._opened)
        except OSError:
            return False

    # -- written -------------------------------------------------------------------

    def register(
        self,
        session: str,
        root: ProcessId,
        place: Place,
        *,
        kind: str,
        name: str = "",
        project: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Entry:
        """Write a session down. The same root under the same id again is the same session.

        Another root under that id is the next generation, and ends the one before.

        Raises:
            SentinelError: A text is too long or empty, or the registry cannot be written.
        """
        marks = _as_json(labels if labels is not None else {})
        for what, text in (("id", session), ("kind", kind), ("name", name), ("project", project)):
            if len(text) > _LONGEST[what] or (what in {"id", "kind"} and not text):
                raise SentinelError(f"a session's {what} has 1 to {_LONGEST[what]} characters, not {len(text)}")
        if len(marks) > _LABELS:
            raise SentinelError(f"the labels of a session have {_LABELS} characters at most")
        with self._changing() as write:
            living = self._living(session)
            if living is not None and (living.root, living.place) == (root, place):
                write("UPDATE sessions SET name = ?, project = ?, labels = ? WHERE id = ? AND status = 'active'",
                      name or living.name, project or living.project,
                      marks if labels is not None else _as_json(living.labels), session)  # fmt: skip
                self._beat(write, session)
            else:
                if living is not None:
                    self._end(write, session, REPLACED)
                write(
                    "INSERT INTO sessions SELECT ?1, COALESCE(MAX(generation), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, "
                    "'active', ?10, ?10, ?11, NULL, '', ?12 FROM sessions WHERE id = ?1",
                    session, kind, name or session, project, marks, place.host, place.boot, root.pid, root.start,
                    self._wall(), self._monotonic(), place.namespace,
                )  # fmt: skip
        return self.living(session)

    def heartbeat(self, session: str) -> None:
        """Note that a session says it lives.

        Raises:
            NoSuchThing: No session of that id is active.
        """
        with self._changing() as write:
            self._beat(write, session)

    def add_child(self, session: str, child: ProcessId, proof: Proof = Proof.NONE) -> None:
        """Note that a session calls a process its own. Twice is once, with the better proof.

        Raises:
            NoSuchThing: No session of that id is active.
        """
        with self._changing() as write:
            generation = self._generation(session)
            write("INSERT INTO children VALUES (?, ?, ?, ?, ?, ?) "
                  "ON CONFLICT DO UPDATE SET proof = excluded.proof WHERE proof = ''",
                  session, generation, child.pid, child.start, self._wall(), proof)  # fmt: skip

    def remove_child(self, session: str, pid: int) -> list[ProcessId]:
        """Note that a process is not a session's any more. Returns who it was; empty when it was not.

        Raises:
            NoSuchThing: No session of that id is active.
        """
        with self._changing() as write:
            generation = self._generation(session)
            removed = [child.id for child in self.living(session).children if child.id.pid == pid]
            write("DELETE FROM children WHERE id = ? AND generation = ? AND pid = ?", session, generation, pid)
        return removed

    def end(self, session: str, why: str = "it said so", root: ProcessId | None = None) -> Entry:
        """Note that a session is over.

        Raises:
            NoSuchThing: No session of that id is active, or it is not that of ``root``.
        """
        with self._changing() as write:
            living = self.living(session)
            if root is not None and living.root != root:
                raise NoSuchThing(f'the session that is registered as "{session}" is another one by now')
            generation = living.generation
            self._end(write, session, why)
        return self.entries("id = ? AND generation = ?", (session, generation))[0]

    def forget_ended(self, age: float) -> int:
        """Remove sessions that ended longer ago than ``age`` seconds; returns how many."""
        with self._changing() as write:
            return write("DELETE FROM sessions WHERE status = 'ended' AND ended < ?", self._wall() - age)

    def restore(self, entry: Entry) -> None:
        """Write down an entry that is known from elsewhere, unless its generation is there."""
        with self._changing() as write:
            write(
                "INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                entry.id, entry.generation, entry.kind, entry.name, entry.project,
                _as_json(entry.labels), entry.place.host, entry.place.boot,
                entry.root.pid, entry.root.start, entry.status, entry.registered, entry.heartbeat, entry.beat,
                entry.ended, entry.why, entry.place.namespace,
            )  # fmt: skip
            for child, proof in entry.children:
                write("INSERT OR IGNORE INTO children VALUES (?, ?, ?, ?, ?, ?)",
                      entry.id, entry.generation, child.pid, child.start, self._wall(), proof)  # fmt: skip

    # -- read ----------------------------------------------------------------------

    def living(self, session: str) -> Entry:
        """The active session of that id.

        Raises:
            NoSuchThing: There is none.
        """
        entry = self._living(session)
        if entry is None:
            raise NoSuchThing(f'no active session is registered as "{session}"')
        return entry

    def sessions(self, *, ended: bool = False) -> list[Entry]:
        """All active sessions, with ``ended`` also those that are over and not forgotten yet."""
        return self.entries("status = 'active' OR ?", (ended,))

    def find(self, who: ProcessId) -> list[Entry]:
        """The active sessions whose root or child a process is."""
        return self.entries(
            "status = 'active' AND ((pid = ?1 AND start = ?2) OR EXISTS (SELECT 1 FROM children c "
            "WHERE c.id = s.id AND c.generation = s.generation AND c.pid = ?1 AND c.start = ?2))",
            (who.pid, who.start),
        )

    def entries(self, where: str, values: Sequence[object] = ()) -> list[Entry]:
        """Sessions by a condition, in the order of their registration. ``where`` is never another's text."""
        with self._told():
            rows = self._connection.execute(f"{_SELECT} WHERE {where} ORDER BY registered, id, generation", values)
            return [_decode(row) for (row,) in rows]

    def check(self) -> None:
        """Read the whole file, and where it has the present form each session in it.

        Raises:
            RegistryDamaged: Part of it is not what it was.
        """
        with self._told():
            found = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            present = schema.version(self._connection) == schema.VERSION
        if present:
            self.entries("TRUE")

    # -- steps ---------------------------------------------------------------------

    def _living(self, session: str) -> Entry | None:
        found = self.entries("id = ? AND status = 'active'", (session,))
        return found[0] if found else None

    def _generation(self, session: str) -> int:
        return self.living(session).generation

    def _beat(self, write: Callable[..., int], session: str) -> None:
        changed = write("UPDATE sessions SET heartbeat = ?, beat = ? WHERE id = ? AND status = 'active'",
                        self._wall(), self._monotonic(), session)  # fmt: skip
        if not changed:
            raise NoSuchThing(f'no active session is registered as "{session}"')

    def _end(self, write: Callable[..., int], session: str, why: str) -> None:
        write("UPDATE sessions SET status = 'ended', ended = ?, why = ? WHERE id = ? AND status = 'active'",
              self._wall(), why, session)  # fmt: skip

    @contextmanager
    def _changing(self) -> Iterator[Callable[..., int]]:
        """A transaction that writes; what it yields runs a statement and tells how many rows changed."""

        def write(statement: str, *values: object) -> int:
            return self._connection.execute(statement, values).rowcount

        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield write
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite and the system say into sentences of ours."""
        try:
            yield
        except OSError as error:
            raise RegistryUnusable(f"{self.path}: {error.strerror}") from error
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise RegistryBusy(
                    f"{self.path} was locked by another process for {self._patience:g} s: try again"
                ) from error
            raise RegistryUnusable(f"{self.path}: {error}") from error
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            raise RegistryDamaged(f"{self.path} is damaged: {error}") from error


def _make(path: Path) -> None:
    """Make the file if need be. SQLite would give it the umask's mode, and what lies beside it the file's.

    One that is there is not opened: to close it again would take away the locks that another
    connection of this process has on it (fcntl(2), "Record locking").

    Raises:
        OSError: It cannot be made, or is a symbolic link.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        _refuse_link(path)


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link")


def _as_json(labels: Mapping[str, str]) -> str:
    return msgspec.json.encode(labels, order="sorted").decode()
