"""Opens sessions: how a process that somebody has recognised or named comes to be watched with all that it bears."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from sentinel.bus import Bus
from sentinel.core.events import BORN, FOUND, SessionOpened
from sentinel.core.facts import ProcessFacts, ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Session
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.exits import Exits
from sentinel.observe import processes
from sentinel.observe.handles import Handles
from sentinel.observe.surroundings import cgroup_of, input_of


class Openings:
    """Takes hold of roots, and puts their sessions into the ledger.

    Args:
        uid: Whose processes we watch.
    """

    def __init__(
        self, bus: Bus, *, ledger: Ledger, handles: Handles, exits: Exits, bookkeeper: Bookkeeper, uid: int
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._handles = handles
        self._exits = exits
        self._bookkeeper = bookkeeper
        self._uid = uid
        self.on_found: Callable[[int, str], object] = _nobody_asked
        """Called with the pid of each that comes into the book by a look, and how: it may be a session of its own."""

    def is_ours(self, pid: int) -> bool:
        """Whether it is a process of our own user. Of another's nobody can be told what it is."""
        return processes.owner(pid) == self._uid

    def take(self, pid: int) -> ProcessId | None:
        """A handle on a process of our own user; None for anything else."""
        if not self.is_ours(pid):
            return None
        who = self._handles.take(pid)
        return who if isinstance(who, ProcessId) else None

    def let_go(self, who: ProcessId) -> None:
        """Drop the handle on a process that came to nothing."""
        if self._ledger.entry(who) is None:
            self._handles.drop(who)

    def open(self, session: Session, how: str) -> Session:
        """Watch a session from now on."""
        if (known := self._ledger.record(session.key)) is not None:
            return known.session
        self._bookkeeper.make_way(session.root)
        outer = self._ledger.member(session.root.pid)
        root = processes.look(session.root.pid)
        session = replace(
            session,
            outer=outer.owner if outer is not None else self._above(session.root.pid),
            born=time.time(),
            sid=root.session if isinstance(root, ProcessFacts) and root.id == session.root else 0,
            cgroup=cgroup_of(session.root.pid),
            input=input_of(session.root.pid),
        )
        record = self._ledger.open(session, time.monotonic())
        if outer is None and self._is_below_a_kept_one(session.root.pid):
            self._ledger.keep(record.members[session.root.pid])
        self._exits.watch(session.root)
        found = self._bookkeeper.adopt_below(session.root.pid)
        self.put_around(session, session.root)
        self._bus.publish(SessionOpened(session, how))
        self.tell_of(found, BORN if how == BORN else FOUND)
        return session

    def adopt_below(self, pid: int) -> None:
        """Write down what hangs under a watched process and is not in the ledger yet."""
        self.tell_of(self._bookkeeper.adopt_below(pid), FOUND)

    def tell_of(self, found: Iterable[int], how: str) -> None:
        """Have it asked what these are, which came into the book by a look: parents first."""
        for pid in found:
            if processes.owner(pid) in {self._uid, None}:  # None: nobody can tell, so it is in doubt
                self.on_found(pid, how)

    def _above(self, pid: int) -> str:
        """Key of the session that a root hangs in of which nobody saw who bore it; empty for none.

        Whatever falls to a subreaper was born below it: in its session, or inside of that.
        """
        chain = processes.chain(pid)
        for link in chain if isinstance(chain, tuple) else ():
            if link.id.pid != pid and (member := self._ledger.member(link.id.pid)) is not None:
                return member.owner if member.id == link.id else ""
        return ""

    def _is_below_a_kept_one(self, pid: int) -> bool:
        """Whether a person wants one kept that bore it: who was born in no session inherits nothing in the ledger."""
        chain = processes.chain(pid)
        return isinstance(chain, tuple) and any(link.id in self._ledger.wanted for link in chain)

    def put_around(self, session: Session, top: ProcessId) -> None:
        """Sessions that live under ``top``, which is of this one, and were known before it, are inside of it."""
        for record in self._ledger.sessions():
            other = record.session
            if record.death is not None or other.outer not in {session.outer, ""} or other.root == session.root:
                continue
            chain = processes.chain(other.root.pid)
            if isinstance(chain, tuple) and any(link.id == top for link in chain):
                self._ledger.amend(replace(other, outer=session.key))


def _nobody_asked(_: int, __: str) -> None:
    """Nobody tells sessions from others."""
