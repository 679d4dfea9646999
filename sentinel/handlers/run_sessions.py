"""The sessions of ``sentinel run``: their wrappers leave a mark, and tell what happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sentinel import runs
from sentinel.bus import Bus
from sentinel.core.events import REGISTERED, SessionDied
from sentinel.core.facts import Above, Gone, Unknown
from sentinel.core.ledger import Ledger, Witness
from sentinel.core.scopes import is_of
from sentinel.core.sessions import Kind, Session
from sentinel.errors import SentinelError
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.openings import Openings
from sentinel.handlers.wrappers import was_left_by
from sentinel.observe import processes
from sentinel.reaper import groups


class RunSessions:
    """Opens the sessions of wrappers by their marks. A sender is who the kernel says it is.

    Args:
        catch_up: Publishes what the kernel has told up to now. A wrapper speaks before its birth
            is heard of, and the session in which it was born is what it inherits from.
    """

    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        *,
        bookkeeper: Bookkeeper,
        openings: Openings,
        runtime: Path,
        catch_up: Callable[[], None],
    ) -> None:
        self._catch_up = catch_up
        self._ledger = ledger
        self._bookkeeper = bookkeeper
        self._openings = openings
        self._runtime = runtime
        bus.subscribe(SessionDied, lambda _: self.meet())

    def catch_up(self) -> None:
        """Publish what the kernel has told up to now, and ``meet`` whom it has told of."""
        self._catch_up()
        self.meet()

    def meet(self) -> None:
        """Open the sessions of the wrappers in the ledger that have left a mark and were not heard yet.

        Their word waits in the inbox, and a death around them may be answered before it.
        """
        for pid in runs.pids(self._runtime):
            if pid in self._ledger and self._ledger.rooted_at(pid) is None:
                with suppress(SentinelError):
                    self.register(pid)

    def find(self) -> None:
        """Open the sessions of all wrappers that live, and take the marks of the others away."""
        for mark in list(runs.marks(self._runtime)):
            who = processes.identify(mark.pid)
            if mark.boot == processes.boot_id() and isinstance(who, Unknown):
                continue  # nobody can tell now whether that wrapper lives: its mark stays for the next look
            if not was_left_by(mark, who):
                runs.erase(self._runtime, mark.pid)
                groups.remove(mark.root, mark.group)
                continue
            with suppress(SentinelError):  # it has ended just now
                self._open(mark)
        for pid, path in list(runs.illegible(self._runtime)):
            if isinstance(processes.identify(pid), Gone):  # whatever it says, it speaks of nobody
                runs.discard(path)

    def register(self, sender: int) -> Session:
        """Watch the session of a wrapper that is about to start its command.

        Raises:
            SentinelError: The sender has left no mark, or has ended.
        """
        self._catch_up()
        mark = runs.read(self._runtime, sender)
        who = processes.identify(sender)
        if mark is not None and isinstance(who, Unknown):
            self._doubt(sender)
        if mark is None or not was_left_by(mark, who):
            raise SentinelError(f"process {sender} has not left the mark of a `sentinel run`")
        return self._open(mark)

    def started(self, sender: int) -> Session:
        """The command runs; its pid is in the mark by now.

        Raises:
            SentinelError: As ``register``.
        """
        return self.register(sender)

    def leaving(self, sender: int, pids: list[int]) -> Session:
        """The command has ended, and these hang under its wrapper: it is their subreaper.

        Raises:
            SentinelError: As ``register``.
        """
        session = self.register(sender)
        for pid in pids:
            link = processes.above(pid)
            if pid in self._ledger or not isinstance(link, Above) or link.parent not in self._ledger:
                continue
            if self._openings.take(pid) == link.id:
                self._bookkeeper.enter_seen(link.id, link.parent, time.monotonic(), Witness.CHILD)
        return session

    def _open(self, mark: runs.Mark) -> Session:
        if (known := self._ledger.rooted_at(mark.pid)) is not None and known.root == mark.root:
            command = self._ledger.member(mark.command)
            is_anothers = command is not None and command.parent != known.root.pid  # the number is, by now
            if known.command != mark.command and not is_anothers:
                known = replace(known, command=mark.command)
                self._ledger.amend(known)
            self._own_command(known)
            return known
        who = self._openings.take(mark.pid)
        if who != mark.root:
            self._doubt(mark.pid)
            raise SentinelError(f"process {mark.pid} has ended, or is another user's")
        scope = mark.group if is_of(who, mark.group) else ""
        session = Session(Kind.RUN, mark.name, who, directory=mark.directory, command=mark.command, scope=scope)
        opened = self._openings.open(session, REGISTERED)
        self._own_command(opened)
        return opened

    def _own_command(self, session: Session) -> None:
        """Its wrapper bore it: seen before that was said, it may have been taken for one that fell to the wrapper."""
        member = self._ledger.member(session.command)
        if member is not None and member.parent == session.root.pid and member.left is not None:
            self._ledger.call_own(member, session.key)

    def _doubt(self, pid: int) -> None:
        """Nobody could tell whether it is the wrapper that has left its mark: it may be, with all that it bears."""
        if (member := self._ledger.member(pid)) is not None:
            self._ledger.doubt(member)
