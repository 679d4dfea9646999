"""Finds what a session owns by the control group that only its own can be in."""

from __future__ import annotations

import time
from dataclasses import replace

from sentinel.bus import Bus
from sentinel.core.events import FOUND, SessionDied, SessionOpened
from sentinel.core.facts import Above, ProcessId, Unknown
from sentinel.core.ledger import Ledger, Record, Witness
from sentinel.core.scopes import is_a_panes, stands_in
from sentinel.core.sessions import Kind
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.later import Later
from sentinel.handlers.openings import Openings
from sentinel.observe import cgroups, processes
from sentinel.observe.handles import Handles

_LOOKS = (0.05, 0.5, 3.0)
"""Seconds after a pane's birth at which its scope is looked for: tmux asks systemd to move it there."""


class Scopes:
    """Learns the scopes of panes, and enters who is found in one and in no book.

    Such a process was born while nobody was told (lost notices, no agent), and has lost the
    parent under which it would have been found. It counts as having left that while the
    session lived, since nobody saw it: so what was daemonised stays. It may be the root of a
    session of its own, and is in doubt while nobody can tell.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        handles: Handles,
        bookkeeper: Bookkeeper,
        openings: Openings,
        later: Later,
    ) -> None:
        self._ledger = ledger
        self._handles = handles
        self._bookkeeper = bookkeeper
        self._openings = openings
        self._later = later
        bus.subscribe(SessionOpened, self.opened)
        bus.subscribe(SessionDied, self.died)

    def opened(self, event: SessionOpened) -> None:
        """A pane is in its scope at once, or a little after its birth, or never."""
        session = event.session
        if session.kind is Kind.PANE and not session.scope and not self._learn(session.key):
            for delay in _LOOKS:
                self._later(delay, self._learn, session.key)

    def _learn(self, key: str) -> bool:
        record = self._ledger.record(key)
        if record is None or record.death is not None or record.session.scope:
            return True
        cgroup = cgroups.of(record.session.root.pid)
        if self._handles.ended(record.session.root) is not False:
            return False
        if isinstance(cgroup, Unknown) or not is_a_panes(cgroup):
            return False
        self._ledger.amend(replace(record.session, cgroup=cgroup, scope=cgroup))
        return True

    def died(self, event: SessionDied) -> None:
        """Before what it left is judged: complete the book."""
        if (record := self._ledger.record(event.session.key)) is not None:
            self.complete(record)

    def look(self) -> None:
        """Complete the books of all sessions that have a scope."""
        for record in list(self._ledger.sessions()):
            self.complete(record)

    def complete(self, record: Record) -> None:
        """Enter who stands in the scope of a session and is in no book."""
        if not record.session.scope:
            return
        found = cgroups.processes_in(record.session.scope)
        pids = found if isinstance(found, list) else []
        links = [link for pid in pids if pid not in self._ledger and isinstance(link := processes.above(pid), Above)]
        strangers = {link.id.pid: link for link in links if not link.dead}
        entered = []
        while strangers:
            # Parents first: who hangs under one that is known is that one's child.
            first = [link for link in strangers.values() if link.parent not in strangers] or [*strangers.values()]
            for link in first:
                del strangers[link.id.pid]
                self._enter(link, record)
                entered.append(link.id.pid)
        # All of them first: what one of them bore goes over to its session, or into its doubt.
        self._openings.tell_of(filter(self._ledger.__contains__, entered), FOUND)

    def _enter(self, link: Above, record: Record) -> None:
        who = self._handles.take(link.id.pid)
        if not isinstance(who, ProcessId):
            return
        if who == link.id and link.parent in self._ledger:
            self._bookkeeper.enter_seen(who, link.parent, time.monotonic(), Witness.LOOK)
            return
        cgroup = cgroups.of(who.pid)
        stands = isinstance(cgroup, str) and stands_in(cgroup, record.session.scope)
        if stands and self._openings.is_ours(who.pid) and self._handles.ended(who) is False:
            self._bookkeeper.claim(who, record.session.key)
        else:
            self._handles.drop(who)
