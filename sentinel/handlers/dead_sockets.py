"""Sweeps out the socket files that tmux servers leave: each leaves one at every kind of end.

A server that is watched has its socket removed at its death, with everything else. These are
of those that ended before, and there are people who have ten thousand of them.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Collection
from pathlib import Path

from sentinel.bus import Bus
from sentinel.core.actions import Result, SweepSockets
from sentinel.core.events import AgentStarted, LookDue, SessionDied, SocketsSwept, Woke
from sentinel.core.facts import SocketFacts
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.core.rules.sockets import judge_socket
from sentinel.core.sessions import Kind, SocketMark
from sentinel.core.verdicts import Stale
from sentinel.errors import JournalUnwritable
from sentinel.handlers.later import Later
from sentinel.journal import Journal
from sentinel.observe import sockets
from sentinel.observe.files import names_in
from sentinel.observe.sockets import Bound
from sentinel.observe.tmux import socket_directory
from sentinel.reaper.quarantine import moment
from sentinel.reaper.returns import Returned, returned
from sentinel.reaper.sweeping import BATCH, sweep

FRESH = 2.0
"""Seconds. What is younger may be about to be used."""
_AFTER_A_DEATH = 0.5
"""Seconds after a server's death: by then its own socket is gone."""
_AFTER_A_START = 0.2
"""Seconds after the agent's start: by then it knows what lives."""
_OF_TMUX = re.compile(r"tmux-\d+")


def deserted(path: str, uid: int, bound: Bound, put_back: Returned, age: float = FRESH) -> Stale | None:
    """A socket file that is nobody's by all that can be asked.

    Args:
        path: Of the file.
        uid: Whose it must be.
        bound: Every bound socket, of a moment ago.
        put_back: What a person wants to stay.
        age: Seconds that it must be old.
    """
    facts = sockets.look_at_socket(path, bound)
    if not isinstance(facts, SocketFacts) or not facts.is_socket or facts.modified > time.time() - age:
        return None
    verdict = judge_socket(SocketMark(path, facts.device, facts.inode), facts, uid, "nobody watched who made it")
    # Nobody in this network namespace holds it. Somebody in another one would answer.
    if not isinstance(verdict, Stale) or path in put_back or sockets.answers(path) is not False:
        return None
    return verdict


class DeadSockets:
    """Sweeps tmux's own directories: at the start, and when a server has died."""

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        journal: Journal,
        policy: Callable[[], Policy],
        later: Later,
        quarantine: Path,
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._journal = journal
        self._policy = policy
        self._later = later
        self._quarantine = quarantine
        self._task: asyncio.Task[None] | None = None
        self._places = {socket_directory()}
        bus.subscribe(SessionDied, self._died)
        bus.subscribe(AgentStarted, lambda _: self._soon(_AFTER_A_START))
        for kind in (LookDue, Woke):
            bus.subscribe(kind, lambda _: self.begin())

    def begin(self) -> None:
        """Sweep in the background, unless that is being done."""
        if self._policy().acts and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._sweep())

    async def close(self) -> None:
        """Have what is under way come to its end: it takes no longer than what it holds."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def _died(self, event: SessionDied) -> None:
        if event.session.kind is not Kind.TMUX:
            return
        for mark in event.session.belongings.sockets:
            directory = os.path.dirname(mark.path)
            if _OF_TMUX.fullmatch(os.path.basename(directory)):
                self._places.add(directory)
        self._soon(_AFTER_A_DEATH)

    def _soon(self, delay: float) -> None:
        self._later(delay, self.begin)

    async def _sweep(self) -> None:
        for directory in sorted(self._places):
            began = time.monotonic()
            targets = await self._targets(directory)
            if not targets or not self._policy().acts:
                continue
            action = SweepSockets(directory, tuple(targets))
            try:
                intent = self._journal.intend(action)
            except JournalUnwritable:
                return  # nothing is removed that cannot be recorded
            outcomes = await sweep(action, self._quarantine)
            kept = tuple(outcome for outcome in outcomes if outcome.result is Result.REFUSED)
            removed = sum(outcome.result is Result.REMOVED for outcome in outcomes)
            self._bus.publish(SocketsSwept(directory, removed, kept, time.monotonic() - began, intent), intent)

    async def _targets(self, directory: str) -> list[Stale]:
        names, bound = names_in(directory), sockets.bound_inodes()
        found: list[Stale] = []
        if not isinstance(names, list) or not isinstance(bound, Bound):
            return found
        spoken_for, put_back = self._spoken_for(), returned(self._quarantine, moment())
        for number, name in enumerate(names, 1):
            path = os.path.join(directory, name)
            if path not in spoken_for and (stale := deserted(path, os.getuid(), bound, put_back)) is not None:
                found.append(stale)
            if number % BATCH == 0:
                await asyncio.sleep(0)
        return found

    def _spoken_for(self) -> Collection[str]:
        """Sockets of sessions that we know: of the living they are theirs, of the dead others see to them."""
        return {mark.path for record in self._ledger.sessions() for mark in record.session.belongings.sockets}
