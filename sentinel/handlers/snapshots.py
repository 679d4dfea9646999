"""Has the ledger outlive the agent: leaves it to the next one, and takes over from the one before."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sentinel import atomic, ledgerfile
from sentinel.bus import Bus
from sentinel.core import snapshot
from sentinel.core.events import (
    TAKEN_OVER,
    KeepSaid,
    LedgerRestored,
    SessionDied,
    SessionEmptied,
    SessionOpened,
    SourceDegraded,
)
from sentinel.core.facts import ProcessId, Unknown
from sentinel.core.ledger import Ledger, Record
from sentinel.core.policy import Policy
from sentinel.core.snapshot import Saved
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.discovery import Discovery
from sentinel.handlers.later import Later
from sentinel.observe import processes
from sentinel.observe.handles import Handles

_PAUSE = 2.0
"""Seconds from a change to the snapshot that has it. No change, no timer."""
_REST = 100
"""A snapshot that took long is followed by a rest so many times as long: 1 % of a core at most."""
_SECOND_LOOK = 1.0
"""Seconds, at least, before a death that nobody saw is acted on."""


class Snapshots:
    """Saves the ledger a little after each change, and brings it back at the start.

    Args:
        uid: Whose processes we watch.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        handles: Handles,
        bookkeeper: Bookkeeper,
        discovery: Discovery,
        path: Path,
        policy: Callable[[], Policy],
        later: Later,
        uid: int,
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._handles = handles
        self._bookkeeper = bookkeeper
        self._discovery = discovery
        self._path = path
        self._policy = policy
        self._later = later
        self._uid = uid
        self._due = False
        self._cost = 0.0
        self._last = b""
        self._failing = False

    # -- for the next agent ------------------------------------------------------------

    def _changed(self) -> None:
        if not self._due:
            self._due = True
            self._later(max(_PAUSE, _REST * self._cost), self.save)

    def save(self) -> None:
        """Leave what is known now."""
        self._due = False
        began = time.thread_time()
        content = ledgerfile.encode(snapshot.take(self._ledger), processes.boot_id())
        try:
            if content != self._last:
                ledgerfile.write(self._path, content)
            self._last, self._failing = content, False
        except OSError as error:
            self._last = b""
            if not self._failing:
                self._failing = True
                why = f"it cannot be saved, so the next agent will know less: {error.strerror}"
                self._bus.publish(SourceDegraded("ledger", why))
        self._cost = time.thread_time() - began

    # -- from the agent before ---------------------------------------------------------

    def take_over(self) -> None:
        """Put back what the agent before had proven and what is still true, and save each change from now on.

        To be called once, before anything else comes into the ledger.
        """
        try:
            self._put_back(ledgerfile.read(self._path, processes.boot_id()))
        except ledgerfile.Unusable as error:
            with suppress(OSError):
                atomic.set_aside(self._path)
            self._bus.publish(LedgerRestored(0, 0, 0, str(error)))
        self._ledger.on_change = self._changed
        # Said once, and seldom: with its process gone nobody could tell any more for whom else it holds.
        self._bus.subscribe(KeepSaid, lambda _: self.save())
        self._changed()

    def _put_back(self, saved: tuple[Saved, ...]) -> None:
        if not saved:
            return
        records = snapshot.restore(self._ledger, saved, self._lives, time.monotonic())
        kept = len(self._ledger)
        self._bus.publish(LedgerRestored(len(records), kept, sum(len(one.members) for one in saved) - kept))
        inferred = {one.session.key for one in saved if one.death is None}
        for record in records:
            self._go_on(record, inferred=record.session.key in inferred)
        for server in self._ledger.manager_servers:
            self._discovery.sockets.look(server.pid)

    def _go_on(self, record: Record, *, inferred: bool) -> None:
        self._bookkeeper.resume(record)
        if record.death is not None and inferred:
            self._bookkeeper.goes_on(record.session, record.death)
        session = record.session
        if record.death is None:
            self._bus.publish(SessionOpened(session, TAKEN_OVER))
            self._discovery.sockets.look(session.root.pid)  # it may have died before all were known
        elif not record.settled:
            pause = max(_SECOND_LOOK, self._policy().of(session.kind, session.directory).grace)
            self._later(pause, self._act_on, session.key)
        elif not record.members:
            self._bus.publish(SessionEmptied(session.key))

    def _act_on(self, key: str) -> None:
        """A death that nobody saw, or whose clean-up was broken off: look once more, then answer it."""
        record = self._ledger.record(key)
        if record is None or record.death is None or self._handles.ended(record.session.root) is not True:
            return
        self._bus.publish(SessionDied(record.session, record.death))

    def _lives(self, who: ProcessId) -> bool | Unknown:
        """Take a handle on it, if it is still that very process, and ours."""
        found = self._handles.take(who.pid)
        if isinstance(found, Unknown):
            return found
        owner = processes.owner(who.pid) if found == who else None
        if found == who and owner == self._uid:
            return True
        unread = found == who and owner is None and self._handles.ended(who) is not True
        if isinstance(found, ProcessId):
            self._handles.drop(found)
        return Unknown(f"whose process {who.pid} is", "nobody answered") if unread else False
