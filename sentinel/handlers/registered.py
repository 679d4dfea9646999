"""Sessions of the registry: watched like those that were found, and closed there when they have ended.

What the registry says is looked at before it is believed. A session is the very process that
registered, alive and ours. What it calls its own must be alive and ours too, no session's root,
and in nobody else's book; and it must hang under the session's process, or have been
shown to belong to it when it was written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from sentinel.bus import Bus
from sentinel.config import Registry as Wishes
from sentinel.core.events import REGISTERED, SessionDied, SessionMoved, SessionReleased, SourceDegraded
from sentinel.core.facts import Death, ProcessId
from sentinel.core.ledger import Ledger, Member, Record, Witness
from sentinel.core.policy import Policy
from sentinel.core.sanitise import clean
from sentinel.core.sentences import how_it_died
from sentinel.core.sessions import Kind, Session
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.discovery import Discovery
from sentinel.handlers.exits import Exits
from sentinel.handlers.later import Later
from sentinel.handlers.openings import Openings
from sentinel.observe import processes
from sentinel.observe.handles import Handles
from sentinel.paths import Paths
from sentinel.registry import looks, retention
from sentinel.registry.entries import Child, Entry, Proof
from sentinel.registry.errors import RegistryBusy
from sentinel.registry.registry import Registry

_SECOND_LOOK = 1.0
"""Seconds, at least, before a death that nobody saw is acted on."""
_LET_GO = 10.0
"""Seconds for which a session that said it is over is watched on: most end right after they have
said so, and what they leave is still to be ended."""
_SOON = 0.05
"""Seconds after a death, when what it left has been signalled, until the registry hears of it."""
_AGAIN = 1.0
"""Seconds after which a registry that somebody else had in hand is tried once more."""

_PATIENCE = 0.05
"""Seconds to wait for others who have the registry in hand: everything else waits for us meanwhile."""

Data = dict[str, object]


def open_for_agent(paths: Paths, bus: Bus, *, mends: bool) -> Registry:
    """The registry as the agent uses it: what it changes there, it records itself, and nobody else need be told."""
    return Registry(paths, record=bus.publish, tell=lambda _: None, patience=_PATIENCE, mends=mends)


class RegisteredSessions:
    """Opens the sessions that the registry names, and keeps both books in agreement.

    Args:
        registry: Opened with little patience: nobody here may wait for long.
        catch_up: Publishes what the kernel has told up to now.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        handles: Handles,
        exits: Exits,
        bookkeeper: Bookkeeper,
        discovery: Discovery,
        openings: Openings,
        registry: Registry,
        policy: Callable[[], Policy],
        catch_up: Callable[[], None],
        later: Later,
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._handles = handles
        self._exits = exits
        self._bookkeeper = bookkeeper
        self._discovery = discovery
        self._openings = openings
        self._registry = registry
        self._policy = policy
        self._catch_up = catch_up
        self._later = later
        self._ids: dict[ProcessId, set[str]] = {}
        """Ids in the registry, by the process that they are of."""
        self._closing: dict[str, tuple[ProcessId, str]] = {}
        """What is still to be closed in the registry: its process, and why."""
        self._trouble = ""
        bus.subscribe(SessionDied, self.died)
        bus.subscribe(SessionMoved, self.moved)

    # -- the registry says -------------------------------------------------------------

    def find(self) -> None:
        """Open the sessions of all entries that are active, and prepare to close those that are dead."""
        try:
            entries = self._registry.sessions()
        except RegistryBusy:
            self._later(_AGAIN, self.find)
            return
        except SentinelError as error:
            self._tell_trouble(str(error))
            return
        finally:
            self._registry.close()  # what it keeps in memory is worth more than the millisecond
        self._trouble = ""
        for entry in entries:
            if why := looks.why_over(entry, self._registry.here):
                self._found_dead(entry, why)
            elif entry.place == self._registry.here:
                self._take_in(entry)
        active = {entry.root for entry in entries}
        for record in self._ledger.sessions():  # it may have said that it is over while there was no agent
            if record.session.kind is Kind.REGISTERED and record.session.root not in active:
                self._later(_LET_GO, self._let_go, record.session.root)

    def tend(self, wishes: Wishes) -> None:
        """Read the registry as a whole, and forget what has been over for long enough."""
        try:
            self._registry.check()
            retention.prune(self._registry, wishes)
        except SentinelError as error:
            self._tell_trouble(str(error))
        finally:
            self._registry.close()

    def enlisted(self, session: str) -> Data:
        """Something about this session has changed: take it in, or let it go.

        Tells the session's key, and under ``doubts`` by pid which of its children are not believed, and why.

        Raises:
            SentinelError: It has ended, or the registry cannot be read.
        """
        try:
            entry = self._registry.get(session)
        except NoSuchThing:
            self._is_over(session)
            return {"session": ""}
        finally:
            self._registry.close()
        self._is_over(session, but=entry.root)
        if entry.place != self._registry.here:
            return {"session": ""}
        self._catch_up()  # what it calls its own may have been born just now
        taken = self._take_in(entry)
        if taken is None:
            raise SentinelError(f"process {entry.root.pid} has ended, or nobody can tell")
        key, doubts = taken
        return {"session": key, "doubts": doubts} if doubts else {"session": key}

    def _take_in(self, entry: Entry) -> tuple[str, dict[str, str]] | None:
        """Watch a session, and what it calls its own. Its key, and what is not believed; None when it has ended."""
        self._discovery.consider(entry.root.pid, REGISTERED)  # it may be what is watched anyway
        session = self._ledger.rooted_at(entry.root.pid)
        if session is None or session.root != entry.root or self._handles.ended(entry.root) is not False:
            if self._take(entry.root) is None:
                return None
            directory = entry.project or processes.working_directory(entry.root.pid)
            session = self._openings.open(
                Session(Kind.REGISTERED, entry.name, entry.root, directory=directory), REGISTERED
            )
        self._ids.setdefault(entry.root, set()).add(entry.id)
        self._tell_names(session)
        key = session.key
        self._forget_unnamed(key, entry)
        return key, {str(child.id.pid): doubt for child in entry.children if (doubt := self._believe(child, key))}

    def _tell_names(self, session: Session) -> None:
        """Have the ledger know what it is called in the registry: people may protect it, and keep it, by that."""
        registered = tuple(sorted(self._ids[session.root]))
        if registered != session.registered:
            self._ledger.amend(replace(session, registered=registered))

    def _believe(self, child: Child, key: str) -> str:
        """Enter what a living session calls its own; why not, when it is not believed."""
        who = self._take(child.id)
        if who is None:
            return ""  # it has ended meanwhile
        record, member = self._ledger.record(key), self._ledger.member(who.pid)
        if member is not None and member.id != who:
            self._bookkeeper.make_way(who)
            member = None
        if record is None or ((rooted := self._ledger.rooted_at(who.pid)) is not None and rooted.root == who):
            return f"process {who.pid} is a session of its own"
        if member is not None:
            return self._believe_of_member(member, record)
        if child.proof is Proof.NONE and not looks.hangs_under(who.pid, record.session.root):
            self._handles.drop(who)
            return f"nothing shows that process {who.pid} is of {clean(record.session.title)}"
        self._ledger.claim(who, key, time.monotonic(), None, Witness.CHILD)
        self._exits.watch(who)
        self._openings.adopt_below(who.pid)
        return ""

    def _believe_of_member(self, member: Member, record: Record) -> str:
        """A session may call its own what it bore, and what is in the book of those around it."""
        around = {record.session.key}
        outer = self._ledger.record(record.session.outer)
        while outer is not None and outer.session.key not in around:
            around.add(outer.session.key)
            outer = self._ledger.record(outer.session.outer)
        if member.owner not in around:
            return f"process {member.id.pid} is in the book of another session ({clean(member.owner)})"
        self._ledger.call_own(member, record.session.key)
        return ""

    def _forget_unnamed(self, key: str, entry: Entry) -> None:
        """Let go of what the session called its own once, and does not any more."""
        named = {child.id for child in entry.children}
        record = self._ledger.record(key)
        for member in self._ledger.members(key):
            # What a `sentinel run` named when it ended has the same witness, and the one that bore it.
            by_name = not member.parent or (record is not None and record.session.kind is not Kind.RUN)
            if member.witness is Witness.CHILD and by_name and member.id not in named:
                for one in self._ledger.let_go(member):
                    self._exits.forget(one)
                    self._handles.drop(one)

    def _take(self, who: ProcessId) -> ProcessId | None:
        """A handle on that very process, if it lives and is ours."""
        found = self._openings.take(who.pid)
        if found == who:
            return who
        if found is not None and found.pid not in self._ledger:
            self._handles.drop(found)
        return None

    # -- sessions end ------------------------------------------------------------------

    def _is_over(self, session: str, but: ProcessId | None = None) -> None:
        """It said so, or another process, ``but``, has registered under its id."""
        for root in [root for root, ids in self._ids.items() if session in ids and root != but]:
            self._ids[root].discard(session)
            if (known := self._ledger.rooted_at(root.pid)) is not None and known.root == root:
                self._tell_names(known)
            self._later(_LET_GO, self._let_go, root)

    def _let_go(self, root: ProcessId) -> None:
        """It said that it is over, and lives: nothing that it bears is to be ended for that word."""
        session = self._ledger.rooted_at(root.pid)
        if self._ids.get(root) or session is None or session.root != root or session.kind is not Kind.REGISTERED:
            return
        self._ids.pop(root, None)
        record = self._ledger.record(session.key)
        if record is None or record.death is not None or self._handles.ended(root) is not False:
            return
        for member in list(record.members.values()):
            self._exits.forget(member.id)
            self._handles.drop(member.id)
        self._ledger.close(session.key)
        if (outer := self._ledger.record(session.outer)) is not None:
            self._openings.adopt_below(outer.session.root.pid)  # whom nobody could read is in doubt there as well
        self._bus.publish(SessionReleased(session))

    def moved(self, event: SessionMoved) -> None:
        """It goes on under another process, of which the registry knows nothing yet."""
        for session in self._ids.pop(event.before.root, ()):
            self._close_later(session, event.before.root, f"it went on in the background as {event.session.id}")

    def died(self, event: SessionDied) -> None:
        """Close what the registry has of it, a little after all else was done."""
        for session in self._ids.pop(event.session.root, ()):
            self._close_later(session, event.session.root, f"it {how_it_died(event.death)}")

    def _close_later(self, session: str, root: ProcessId, why: str) -> None:
        if not self._closing:
            self._later(_SOON, self._close)
        self._closing[session] = root, why

    def _close(self) -> None:
        """Write down which sessions have ended. Who has the registry in hand just now is not waited for."""
        try:
            for session, (root, why) in list(self._closing.items()):
                with suppress(NoSuchThing):  # it is closed, or the next one has registered
                    self._registry.end(session, why, root)
                del self._closing[session]
        except RegistryBusy:
            self._later(_AGAIN, self._close)
        except SentinelError as error:
            self._closing.clear()  # they are found dead by the next look
            self._tell_trouble(str(error))
        finally:
            self._registry.close()

    def _found_dead(self, entry: Entry, why: str) -> None:
        """It ended while nobody watched. What it called its own is proven, and judged after a second look."""
        known = entry.id in self._closing or entry.root in self._ids or self._is_in_the_book(entry.root)
        self._close_later(entry.id, entry.root, why)
        if not known and entry.place == self._registry.here:
            wishes = self._policy().of(Kind.REGISTERED, entry.project)
            self._later(max(_SECOND_LOOK, wishes.grace), self._judge_dead, entry)

    def _judge_dead(self, entry: Entry) -> None:
        session = Session(
            Kind.REGISTERED,
            entry.name,
            entry.root,
            registered=(entry.id,),
            directory=entry.project,
            born=entry.registered,
        )
        if self._is_in_the_book(entry.root) or self._handles.ended(entry.root) is not True:
            return
        now = time.monotonic()
        members = {
            child.id.pid: Member(child.id, session.key, 0, Witness.CHILD, now, kept=child.id in self._ledger.wanted)
            for child in entry.children
            # What is in a book is another session's by now, or one itself.
            if child.proof is not Proof.NONE and child.id.pid not in self._ledger and self._take(child.id)
        }
        if not members:
            return
        death = Death(now)
        self._ledger.reinstate(Record(session, members, death))
        for member in list(members.values()):
            self._exits.watch(member.id)
            self._openings.adopt_below(member.id.pid)
        self._bus.publish(SessionDied(session, death))

    def _is_in_the_book(self, root: ProcessId) -> bool:
        """Whether the ledger knows a session of that process, living or dead."""
        return any(record.session.root == root for record in self._ledger.sessions())

    def _tell_trouble(self, why: str) -> None:
        if why != self._trouble:
            self._trouble = why
            self._bus.publish(SourceDegraded("registry", why))
