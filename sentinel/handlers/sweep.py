"""Looks at everything: at the start, when notices were lost, when somebody asks.

Whoever lives under a living session is written down as seen there; whoever has already
lost its parent is nobody's, whatever it looks like.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from sentinel.bus import Bus
from sentinel.core.events import FOUND, EventsLost, LookDue, Woke
from sentinel.core.facts import Above, ProcessId
from sentinel.core.ledger import Ledger, Witness
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.discovery import Discovery
from sentinel.observe import processes
from sentinel.observe.handles import Handles


class Sweep:
    """Brings the ledger up to date with a look at every process of this user.

    Args:
        find_runs: Opens the sessions of ``sentinel run`` that have left their mark.
        find_registered: Opens those that have registered, and are nothing else that is known.
        find_in_scopes: Enters who is found by where it stands only.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        handles: Handles,
        bookkeeper: Bookkeeper,
        discovery: Discovery,
        find_runs: Callable[[], None],
        find_registered: Callable[[], None],
        find_in_scopes: Callable[[], None],
        uid: int,
    ) -> None:
        self._ledger = ledger
        self._handles = handles
        self._bookkeeper = bookkeeper
        self._discovery = discovery
        self._find_runs = find_runs
        self._find_registered = find_registered
        self._find_in_scopes = find_in_scopes
        self._uid = uid
        bus.subscribe(EventsLost, lambda _: self.look())
        bus.subscribe(LookDue, lambda _: self.look())
        bus.subscribe(Woke, lambda _: self.look())

    def look(self) -> None:
        """Write off who has ended, find sessions, enter who lives under them."""
        self._bookkeeper.look_after()
        children = processes.tree()
        self._find_runs()
        # From the top down: a session is known before what runs in it is looked at.
        stack = [*children.get(0, ()), *children.get(1, ())]
        seen: set[int] = set()
        while stack:
            link = stack.pop()
            pid = link.id.pid
            if pid in seen:
                continue
            seen.add(pid)
            stack += children.get(pid, ())
            if processes.owner(pid) == self._uid:
                self._enter(link)
                self._discovery.consider(pid, FOUND)
        self._find_registered()
        self._find_in_scopes()

    def _enter(self, link: Above) -> None:
        """Write it down under its parent, if that is watched and is still its parent."""
        if link.parent not in self._ledger or self._ledger.member(link.id.pid) is not None:
            return
        who = self._handles.take(link.id.pid)
        if not isinstance(who, ProcessId) or who != link.id:
            return
        self._bookkeeper.enter_seen(who, link.parent, time.monotonic(), Witness.LOOK)
