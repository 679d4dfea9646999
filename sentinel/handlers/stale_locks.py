"""Takes the locks away that dead processes leave: when they die, not when somebody trips over one.

While a lock is held its holder's pidfd is kept: that is the proof that the number in the file
is a process of this machine, and it tells of the end. Then there is a quiet while, in which
whoever tidies up after the holder does so; then the lock is looked at and judged anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sentinel.bus import Bus
from sentinel.core.actions import Outcome, RemoveLock, Result
from sentinel.core.events import (
    ConfigurationRead,
    EventsLost,
    FileChanged,
    HolderEnded,
    LockKept,
    LockRemoved,
    LookDue,
    SessionClosed,
    SessionMoved,
    SessionOpened,
    Woke,
)
from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.core.rules.locks import FRESH, LockFacts, LockKind, judge_lock
from sentinel.core.verdicts import Kept, Stale
from sentinel.errors import JournalUnwritable
from sentinel.handlers.later import Later
from sentinel.journal import Journal
from sentinel.locks.holder import Holder
from sentinel.locks.kinds import Kind, look, recognise
from sentinel.locks.places import Places, places
from sentinel.observe import processes
from sentinel.reaper import removals, returns
from sentinel.reaper.quarantine import moment

QUIET = 0.25
"""Seconds after the holder's end."""
_UNFINISHED = (0.02, 0.1, 0.4, 2.0)
"""Seconds between looks at a lock that does not say yet who holds it."""
_IN_USE = (5.0, 20.0, 80.0, 320.0)
"""Seconds between looks at one that somebody else holds on to; then it waits for the next look at everything."""
_SELDOM = frozenset({"in-use", "git"})


class Watches(Protocol):
    """Where directories are watched (``sources.files.FileSource``)."""

    def watch(self, directory: str, *, writes: bool = False) -> bool:
        """Publish what changes in it."""

    def unwatch(self, directory: str) -> None:
        """Undo one ``watch``."""


class Holders(Protocol):
    """Where the ends of holders are waited for (``sources.holders.HolderWatch``)."""

    def watch(self, pid: int) -> ProcessId | Gone | Unknown:
        """Publish ``HolderEnded`` of whoever has that number now."""

    def forget(self, who: ProcessId) -> None:
        """Undo that."""

    def close(self) -> None:
        """Undo all of it."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A lock whose holder was seen living."""

    holder: Holder
    who: ProcessId
    kind: Kind


class StaleLocks:
    """Watches the locks of projects, and those that the user named.

    Args:
        wished: The patterns of the configuration.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        journal: Journal,
        watches: Watches,
        holders: Holders,
        policy: Callable[[], Policy],
        later: Later,
        wished: Callable[[], tuple[str, ...]],
        kept_in: Path,
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._journal = journal
        self._watches = watches
        self._holders = holders
        self._policy = policy
        self._later = later
        self._wished = wished
        self._kept_in = kept_in
        self._home = os.path.expanduser("~")
        self._wanted: object = None
        self._places = Places()
        self._held: dict[str, _Held] = {}
        self._fell: dict[str, float] = {}
        self._said: dict[str, tuple[int, str]] = {}
        bus.subscribe(SessionOpened, lambda _: self.watch())
        bus.subscribe(SessionMoved, lambda _: self.watch())
        bus.subscribe(SessionClosed, lambda _: self.watch())
        bus.subscribe(ConfigurationRead, lambda _: self.watch())
        bus.subscribe(LookDue, lambda _: self._look_at_all())
        bus.subscribe(Woke, lambda _: self._look_at_all())
        bus.subscribe(EventsLost, lambda _: self._look_at_all())
        bus.subscribe(FileChanged, self._changed)
        bus.subscribe(HolderEnded, self._ended)

    def watch(self) -> None:
        """Watch where the sessions work now, and look at what is new there."""
        directories = frozenset(record.session.directory for record in self._ledger.sessions())
        if self._wanted == (wanted := (directories, self._wished())):
            return
        before, self._wanted = self._places, wanted
        self._places = now = places(*wanted, home=self._home)
        for directory in now.patterns.keys() - before.patterns.keys():
            self._watches.watch(directory, writes=bool(now.patterns[directory]))
        for directory in before.patterns.keys() - now.patterns.keys():
            self._watches.unwatch(directory)
        for path in [path for path in now.found() if not before.holds(path)]:
            self._look(path)

    def close(self) -> None:
        """Wait for no end any more."""
        self._holders.close()

    # -- while it is held --------------------------------------------------------------

    def _changed(self, event: FileChanged) -> None:
        if self._places.holds(event.path):
            self._look(event.path)

    def _look_at_all(self) -> None:
        for path in {*self._places.found(), *self._held}:
            self._look(path)

    def _look(self, path: str, tries: tuple[float, ...] = _UNFINISHED) -> None:
        """Learn who holds it, and keep hold of that one."""
        try:
            status = os.lstat(path)
        except OSError:
            self._forget(path)
            return
        kind = recognise(path, status)
        if kind is None or isinstance(holder := kind.holder(path, status), Unknown):
            if tries and path not in self._held:
                self._later(tries[0], self._look, path, tries[1:])
            return
        if (held := self._held.get(path)) is not None:
            if (held.holder.pid, held.kind) == (holder.pid, kind):
                return
            self._forget(path)
        ended = holder.ended()
        if ended is False and self._take(path, kind, holder):
            return
        if ended is True:
            self._later(QUIET, self._judge, path)

    def _take(self, path: str, kind: Kind, holder: Holder) -> bool:
        """Whether the number in a lock is that of a process of ours, whose end will be told."""
        who = self._holders.watch(holder.pid)
        if not isinstance(who, ProcessId):
            return False
        if processes.owner(who.pid) != os.getuid() or holder.start not in {0, who.start}:
            self._let_go(who)
            return False
        witnessed = holder if holder.boot else Holder(who.pid, who.start, boot=processes.boot_id())
        self._held[path] = _Held(witnessed, who, kind)
        return True

    def _forget(self, path: str) -> None:
        self._said.pop(path, None)
        self._fell.pop(path, None)
        if (held := self._held.pop(path, None)) is not None:
            self._let_go(held.who)

    def _let_go(self, who: ProcessId) -> None:
        if all(held.who != who for held in self._held.values()):
            self._holders.forget(who)

    # -- when its holder has ended -----------------------------------------------------

    def _ended(self, event: HolderEnded) -> None:
        for path, held in self._held.items():
            if held.who == event.holder:
                self._fell[path] = time.monotonic()
                self._later(QUIET, self._judge, path)

    def _judge(self, path: str, seldom: tuple[float, ...] = _IN_USE) -> None:
        """Look at it once more and decide."""
        held = self._held.get(path)
        facts = look(path, held.kind if held else None, witnessed=held.holder if held else None)
        verdict = judge_lock(facts, path=path, uid=os.getuid())
        if not isinstance(facts, LockFacts) or verdict is None:
            self._forget(path)
        elif isinstance(verdict, Stale):
            self._remove(facts, verdict)
        elif facts.ended is False or (held is not None and not facts.holder):
            self._forget(path)  # it is another's by now
            self._look(path)
        elif facts.ended is True and facts.age < FRESH:
            self._later(FRESH - facts.age, self._judge, path)
        else:
            self._keep(facts, verdict)
            if verdict.guard in _SELDOM and seldom:
                self._later(seldom[0], self._judge, path, seldom[1:])

    def _keep(self, facts: LockFacts, verdict: Kept) -> None:
        """Say once why it stays."""
        if facts.kind in {LockKind.ADVISORY, LockKind.DATABASE}:
            return  # it is nobody's leftover
        if self._said.get(facts.path) != (facts.inode, verdict.reason):
            self._said[facts.path] = (facts.inode, verdict.reason)
            self._bus.publish(LockKept(facts.path, facts.kind, verdict.guard, verdict.reason))

    def _remove(self, facts: LockFacts, verdict: Stale) -> None:
        if why := self._policy().why_not:
            self._keep(facts, Kept(facts.path, "held-back", why))
            return
        if facts.path in returns.returned(self._kept_in, moment()):
            self._keep(facts, Kept(facts.path, "returned", returns.PUT_BACK))
            return
        action = RemoveLock(verdict, facts.kind, facts.shape)
        try:
            intent = self._journal.intend(action)
            self._journal.sync()
        except JournalUnwritable as error:
            self._keep(facts, Kept(facts.path, "unrecorded", f"nothing is removed that cannot be recorded: {error}"))
            return
        began = self._fell.get(facts.path, time.monotonic())
        outcome = removals.remove(action, self._kept_in, lambda aside: self._is_still(facts, aside))
        self._tell(facts, outcome, time.monotonic() - began, intent)

    def _is_still(self, judged: LockFacts, aside: str) -> bool:
        """Whether what lies aside is what was judged, and would be judged so again."""
        held = self._held.get(judged.path)
        kind = held.kind if held else recognise(judged.path, os.lstat(aside))
        now = look(aside, kind, witnessed=held.holder if held else None)
        if not isinstance(now, LockFacts) or now.modified != judged.modified or now.holder != judged.holder:
            return False
        return isinstance(judge_lock(now, path=aside, uid=os.getuid()), Stale)

    def _tell(self, facts: LockFacts, outcome: Outcome, duration: float, intent: int) -> None:
        self._forget(facts.path)
        if outcome.result is not Result.GONE:
            self._bus.publish(LockRemoved(facts.path, facts.kind, facts.holder, outcome, duration, intent), intent)
