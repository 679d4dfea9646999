"""Tells when a process that holds a lock ends, from a pidfd of its own.

Apart from the handles of sessions: who holds a lock may belong to no session, and a lock may
outlive the interest in the session that its holder belongs to.
"""

from __future__ import annotations

import asyncio

from sentinel.bus import Bus
from sentinel.core.events import HolderEnded
from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.observe.handles import Handles


class HolderWatch:
    """Publishes ``HolderEnded`` once for each process that it was told to watch."""

    def __init__(self, bus: Bus, loop: asyncio.AbstractEventLoop) -> None:
        self._bus = bus
        self._loop = loop
        self._handles = Handles()

    def watch(self, pid: int) -> ProcessId | Gone | Unknown:
        """Watch whoever has ``pid`` now, and tell who that is. Once more is no harm."""
        known = len(self._handles)
        who = self._handles.take(pid)
        if not isinstance(who, ProcessId):
            return who
        if (fd := self._handles.fd(who)) is None:
            return Unknown(f"when process {pid} ends", "no handle could be opened on it")
        if len(self._handles) > known:
            self._loop.add_reader(fd, self._ended, who)
        return who

    def forget(self, who: ProcessId) -> None:
        """Watch it no more."""
        if (fd := self._handles.fd(who)) is not None:
            self._loop.remove_reader(fd)
            self._handles.drop(who)

    def close(self) -> None:
        """Watch nobody any more."""
        for who in list(self._handles):
            self.forget(who)

    def _ended(self, who: ProcessId) -> None:
        self.forget(who)
        self._bus.publish(HolderEnded(who))
