"""The registry as programs and the command line use it: who says so is looked at before it is written.

from sentinel import Registry

with Registry() as registry:
    registry.register("nightly-import", project="/srv/shop", labels={"team": "blue"})
    registry.add_child("nightly-import", worker.pid)
    registry.heartbeat("nightly-import")
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from sentinel import paths
from sentinel.core.events import ChildNamed, Event, RegistrationEnded, SessionRegistered
from sentinel.core.facts import ProcessId
from sentinel.core.sanitise import clean
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.observe import place, processes
from sentinel.observe.sleep import slept
from sentinel.registry import hearing, looks
from sentinel.registry.entries import Child, Entry, Place, Proof, Status
from sentinel.registry.errors import RegistryBusy, RegistryDamaged
from sentinel.registry.standing import Clocks, Standing, standing

if TYPE_CHECKING:
    from sentinel.registry.store import Store

T = TypeVar("T")
Record = Callable[[Event], object]

PATIENCE = 5.0
"""Seconds to wait for others who have the registry in hand."""
STALE_AFTER = 60.0
"""Seconds without a heartbeat after which a session that nobody can look at counts as stale."""
_TRIES = 3
"""How often an operation is begun, when the registry is exchanged under it."""


class Registry:
    """The registry of this user. Used by one thread; any number of processes may have it open.

    Args:
        where: The directories; by default those of this user, which are made if need be.
        record: Called with what has happened; by default it goes into the journal.
        tell: Called with the id of a session of which something has changed; by default the agent is told,
            and what it answers comes back.
        patience: Seconds to wait for others who have the registry in hand.
        mends: Whether a damaged registry is rebuilt. Who only looks leaves that to others.

    Raises:
        SentinelError: There is no place for it. Each operation may raise ``RegistryBusy``,
            ``RegistryUnusable``, ``RegistryDamaged`` (where it does not mend) and ``TooNew``.
    """

    def __init__(
        self,
        where: paths.Paths | None = None,
        *,
        record: Record | None = None,
        tell: Callable[[str], object] | None = None,
        patience: float = PATIENCE,
        mends: bool = True,
    ) -> None:
        if where is None:
            where = paths.find()
            if trouble := paths.prepare(where):
                raise SentinelError(trouble)
        self._where = where
        self._lock = where.registry.with_suffix(".lock")
        self._record = record or self._write_down
        self._tell = tell or self._tell_agent
        self._patience = patience
        self._mends = mends
        self._store: Store | None = None
        self.here = Place(place.host(), processes.boot_id(), place.pid_namespace())
        """Where the processes are that can be looked at from here."""
        self.heard = False
        """Whether an agent has heard of the last change."""
        self.mended = ""
        """Empty, or the sentence that says that the registry was damaged, and what became of it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; the next operation opens it again."""
        if self._store is not None:
            self._store.close()
            self._store = None

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self._where.registry

    @property
    def logs(self) -> Path:
        """Where the logs of sessions lie. Need not be there."""
        return self._where.session_logs

    # -- written -------------------------------------------------------------------

    def register(
        self,
        session: str,
        *,
        pid: int | None = None,
        kind: str = "registered",
        name: str = "",
        project: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Entry:
        """Write a session down, whose process is ``pid``, by default this one.

        The same process under the same id again is the same session, and counts as a heartbeat.
        Another process under that id is the next generation, and ends the one before.

        Raises:
            NoSuchThing: There is no such process.
            SentinelError: It is another user's, or a text is too long, empty or cannot be printed.
        """
        root = looks.ours(os.getpid() if pid is None else pid)
        for what, text in (("id", session), ("kind", kind)):
            if not text.isprintable():
                raise SentinelError(f"a session's {what} is made of printable characters")
        fields = {"kind": kind, "name": _text(name), "project": _text(project)}
        marks = None if labels is None else {_text(label): _text(value) for label, value in labels.items()}
        entry = self._done(lambda store: store.register(session, root, self.here, **fields, labels=marks))
        at = self.here
        self._record(
            SessionRegistered(entry.id, entry.generation, entry.kind, entry.name, entry.project, entry.labels,
                              at.host, at.boot, at.namespace, root, entry.registered)
        )  # fmt: skip
        self._tell(session)
        return entry

    def heartbeat(self, session: str) -> None:
        """Note that a session says it lives.

        Raises:
            NoSuchThing: No session of that id is active.
        """
        self._done(lambda store: store.heartbeat(session))

    def add_child(self, session: str, pid: int, *, by: int | None = None) -> Child:
        """Note that a session calls a process its own: what that is at its end, it ends with the session.

        That is believed if the process hangs under the session's own, or has lost its parent
        and is named by one that does: ``by``, by default this process.

        Raises:
            NoSuchThing: There is no such session or process.
            SentinelError: It is not believed, with the reason.
        """
        entry, who = self.get(session), looks.ours(pid)
        if entry.place != self.here or processes.ended(entry.root) is not False:
            raise SentinelError(f"the process of session {clean(session)} cannot be seen from here: it may have ended")
        if roots := self._done(lambda store: [one.id for one in store.find(who) if one.root == who]):
            raise SentinelError(f"process {pid} is the process of session {clean(roots[0])} itself")
        if looks.hangs_under(pid, entry.root):
            proof = Proof.DESCENDS
        elif looks.hangs_under(os.getpid() if by is None else by, entry.root):
            if why := looks.works_for_another(pid, entry.root):
                raise SentinelError(f"{why}: it is not believed to be a child of {clean(session)}")
            proof = Proof.NAMED
        else:
            raise SentinelError(
                f"process {pid} does not hang under session {clean(session)} (pid {entry.root.pid}), "
                "nor does whoever names it: it is not believed to be its child"
            )
        if processes.identify(pid) != who:
            raise NoSuchThing(f"process {pid} has ended")
        self._done(lambda store: store.add_child(session, who, proof))
        self._record(ChildNamed(session, entry.generation, who, proof, own=True))
        try:
            answer = self._tell(session)
        except SentinelError:
            if who not in {child.id for child in entry.children}:
                self._take_back(entry, who)
            raise
        if why := hearing.doubt(answer, pid):
            self._take_back(entry, who)
            raise SentinelError(why)
        return Child(who, proof)

    def remove_child(self, session: str, pid: int) -> bool:
        """Note that a process is not a session's any more. False: it was not.

        Raises:
            NoSuchThing: No session of that id is active.
        """
        removed = self._strike(self.get(session), pid)
        self._tell(session)
        return removed

    def end(self, session: str, why: str = "it said so", root: ProcessId | None = None) -> Entry:
        """Note that a session is over. With ``root``, only if it is still the session of that process.

        Raises:
            NoSuchThing: No such session is active.
        """
        entry = self._done(lambda store: store.end(session, _text(why), root))
        self._record(RegistrationEnded(session, entry.generation, entry.why))
        self._tell(session)
        return entry

    def forget_ended(self, age: float) -> int:
        """Remove sessions that ended longer ago than ``age`` seconds; returns how many."""
        return self._done(lambda store: store.forget_ended(age))

    # -- read ----------------------------------------------------------------------

    def get(self, session: str) -> Entry:
        """The active session of that id.

        Raises:
            NoSuchThing: There is none.
        """
        return self._done(lambda store: store.living(session))

    def sessions(self, *, ended: bool = False) -> list[Entry]:
        """All active sessions, with ``ended`` also those that are over and not forgotten yet."""
        return self._done(lambda store: store.sessions(ended=ended))

    def generations(self, session: str) -> list[Entry]:
        """All sessions that have had this id and are not forgotten yet, the last one last."""
        return self._done(lambda store: store.entries("id = ?", (session,)))

    def find(self, pid: int) -> list[Entry]:
        """The active sessions that a process belongs to: its own, or those of whom it hangs under.

        Raises:
            NoSuchThing: There is no such process.
        """
        for one in looks.line(pid):
            if found := self._done(partial(_of, who=one)):
                return [entry for entry in found if entry.place == self.here]
        return []

    def standing(self, entry: Entry, stale_after: float = STALE_AFTER) -> Standing:
        """What is known of the life of a session."""
        now = Clocks(time.time(), time.monotonic(), slept())
        looked = entry.status is Status.ACTIVE and entry.place == self.here
        root_ended = processes.ended(entry.root) if looked else False
        return standing(entry, self.here, now, root_ended=root_ended, stale_after=stale_after)

    def stale(self, stale_after: float = STALE_AFTER) -> list[Entry]:
        """Active sessions whose process has ended, or that have been silent for so many seconds unseen."""
        gone = {Standing.DEAD, Standing.STALE}
        return [entry for entry in self.sessions() if self.standing(entry, stale_after) in gone]

    def check(self) -> None:
        """Read the whole file, and rebuild it if it is damaged."""
        self._done(lambda store: store.check())

    # -- steps ---------------------------------------------------------------------

    def _take_back(self, entry: Entry, who: ProcessId) -> None:
        """The agent, which knows more than we do, refuses a child: it is not to stay in the book."""
        with suppress(NoSuchThing):  # its session has ended meanwhile
            self._strike(entry, who.pid)

    def _strike(self, entry: Entry, pid: int) -> bool:
        """Take a child out. Whether it was there."""
        removed = self._done(lambda store: store.remove_child(entry.id, pid))
        for who in removed:
            self._record(ChildNamed(entry.id, entry.generation, who, Proof.NONE, own=False))
        return bool(removed)

    def _done(self, action: Callable[[Store], T]) -> T:
        """Do something with the registry; once more, if it was exchanged before."""
        from sentinel.registry.rebuild import turn

        damage: RegistryDamaged | None = None
        for _ in range(_TRIES):
            try:
                with turn(self._lock, self._patience):
                    return action(self._opened())
            except RegistryDamaged as error:
                damage = error
            self.close()
            if not self._mends:
                raise damage
            self._mend()
        raise damage or RegistryBusy(f"{self.path} is exchanged again and again")

    def _opened(self) -> Store:
        if self._store is None or not self._store.in_place:
            self.close()
            self._store = self._open(self.path)
        return self._store

    def _open(self, path: Path) -> Store:
        from sentinel.registry.store import Store

        return Store(path, patience=self._patience)

    def _mend(self) -> None:
        from sentinel import narrate
        from sentinel.registry.rebuild import mend

        rebuilt = mend(
            self.path,
            self._lock,
            self._where.journal,
            open_store=self._open,
            is_over=lambda entry: looks.why_over(entry, self.here),
            lives=lambda who: processes.ended(who) is not True,
            patience=self._patience,
        )
        if rebuilt is not None:
            self._record(rebuilt)
            self.mended = narrate.sentence({"type": rebuilt.type, "data": asdict(rebuilt)})

    def _write_down(self, event: Event) -> None:
        from sentinel.journal import Journal

        journal = Journal(self._where.journal, processes.boot_id())
        journal.record(event)
        journal.close()

    def _tell_agent(self, session: str) -> object:
        answer = hearing.tell(self._where.inbox, session)
        self.heard = answer is not None
        return answer


def _of(store: Store, who: ProcessId) -> list[Entry]:
    return store.find(who)


def _text(text: str) -> str:
    """A text that can be stored: an argument that is no UTF-8 has surrogates in it."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
