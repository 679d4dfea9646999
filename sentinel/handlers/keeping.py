"""``sentinel keep``: who stays, whatever the session comes to."""

from __future__ import annotations

from collections.abc import Iterable

from sentinel.bus import Bus
from sentinel.core.events import EventsLost, KeepSaid, LookDue, ProcessExited, SessionDied, Woke
from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.core.ledger import Ledger, Member
from sentinel.core.sanitise import clean
from sentinel.core.switches import Keep
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.handlers.naming import is_pid, session_called, sessions_called
from sentinel.observe import processes
from sentinel.switches import SwitchBoard

Data = dict[str, object]


class Keeping:
    """Holds the ledger to what a person wants kept, and remembers it over restarts.

    A wish is for one process and all that it bears. What it bore inherits in the ledger;
    when the process ends, the wish goes over to its children.
    """

    def __init__(self, bus: Bus, ledger: Ledger, switches: SwitchBoard, uid: int) -> None:
        self._bus = bus
        self._ledger = ledger
        self._switches = switches
        self._uid = uid
        self._applied: tuple[Keep, ...] | None = None
        self._pids: frozenset[int] = frozenset()
        self.apply()
        bus.subscribe(SessionDied, lambda _: self.apply())  # a wish that nobody told us of counts too
        bus.subscribe(ProcessExited, self.exited)
        bus.subscribe(EventsLost, lambda _: self.refresh())
        bus.subscribe(LookDue, lambda _: self.refresh())
        bus.subscribe(Woke, lambda _: self.refresh())

    # -- asked -------------------------------------------------------------------------

    def keep(self, what: str) -> Data:
        """Keep a process or a session from now on.

        Raises:
            NoSuchThing: There is none of that pid or name.
            SentinelError: It is another user's.
        """
        keeps = [self._process(int(what))] if is_pid(what) else self._session(what)
        self._switches.change(lambda switches: switches.keeping(keeps))
        self.apply()
        return self._told(keeps, kept=True)

    def release(self, what: str) -> Data:
        """Keep it no more; what a wish for something above it holds stays kept.

        Raises:
            NoSuchThing: Nobody said that it should be kept.
        """
        kept = self._switches.now().kept
        members: list[Member] = []
        if is_pid(what):
            keeps = [keep for keep in kept if keep.id.pid == int(what)]
        else:
            records = sessions_called(self._ledger, what)
            members = [member for record in records for member in record.members.values()]
            names = {what, *(record.session.key for record in records)}
            roots = {record.session.root for record in records}
            keeps = [k for k in kept if {k.session, k.session.partition("@")[0]} & names or k.id in roots]
        if not keeps:
            raise NoSuchThing(f"{clean(what)} is not on the list: sentinel keep shows what is kept")
        self._switches.change(lambda switches: switches.releasing(keep.id for keep in keeps))
        for member in [*members, *self._members(keeps)]:
            self._ledger.keep(member, kept=False)
        self._applied = None
        self.apply()
        return self._told(keeps, kept=False)

    def _told(self, keeps: list[Keep], *, kept: bool) -> Data:
        first = keeps[0]
        self._bus.publish(KeepSaid(first.id, first.name, first.session, kept))
        return {
            "kept": [{"pid": keep.id.pid, "name": clean(keep.name), "session": clean(keep.session)} for keep in keeps],
            "switch_trouble": self._switches.trouble,
        }

    def _process(self, pid: int) -> Keep:
        who = processes.identify(pid)
        if isinstance(who, Gone):
            raise NoSuchThing(f"there is no process {pid}")
        if isinstance(who, Unknown):
            raise NoSuchThing(str(who))
        if (owner := processes.owner(pid)) != self._uid:
            raise SentinelError(f"process {pid} belongs to another user (uid {owner}): Sentinel leaves it alone anyway")
        return _kept(who)

    def _session(self, what: str) -> list[Keep]:
        """A session is kept by its root, and by those that nobody of it bears any more."""
        record = session_called(self._ledger, what)
        session = record.session
        tops = [member.id for member in record.members.values() if self._ledger.member(member.parent) is None]
        return [
            Keep(who, clean(session.title), session.key) if who == session.root else _kept(who, session.key)
            for who in dict.fromkeys([session.root, *tops])
            if who == session.root or who.start
        ]

    # -- told --------------------------------------------------------------------------

    def exited(self, event: ProcessExited) -> None:
        """One that was kept may have ended: its children are, each for itself."""
        if event.pid in self._pids:
            self.refresh()

    def refresh(self) -> None:
        """Have the list name those who live: what a dead one bore stands for itself."""
        kept = self._switches.now().kept
        if not kept:
            return
        self.apply()
        whole = {keep.session for keep in kept}
        heirs = [_kept(m.id, m.owner if m.owner in whole else "") for m in self._tops()]
        sessions = {record.session.key for record in self._ledger.sessions()}
        gone = [keep.id for keep in kept if keep.session not in sessions and processes.ended(keep.id) is True]
        self._switches.change(lambda switches: switches.keeping(heirs).releasing(gone))
        self.apply()

    def _tops(self) -> Iterable[Member]:
        """Whoever is kept and hangs under nobody who is."""
        for record in self._ledger.sessions():
            for member in record.members.values():
                above = self._ledger.member(member.parent)
                if member.kept and member.id.start and (above is None or not above.kept):
                    yield member

    def apply(self) -> None:
        """Have the ledger know whom the list names, those that are in it already and those to come."""
        kept = self._switches.now().kept
        if kept is self._applied:
            return
        self._applied = kept
        self._pids = frozenset(keep.id.pid for keep in kept)
        self._ledger.wanted = frozenset(keep.id for keep in kept)
        for member in self._members(kept):
            self._ledger.keep(member)

    def _members(self, keeps: Iterable[Keep]) -> list[Member]:
        return [member for keep in keeps if (member := self._ledger.entry(keep.id)) is not None]


def _kept(who: ProcessId, session: str = "") -> Keep:
    """What the switches hold of one process: its name is to be shown, and need not be text."""
    return Keep(who, clean(processes.comm(who.pid)), session)
