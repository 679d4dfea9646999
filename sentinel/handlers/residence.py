"""Keeps the agent where others look for it: its lock and its inbox, in the runtime directory.

Somebody may remove that directory while we live (a clean-up of /tmp, the end of a login
session). Then a second agent could start beside us, and nobody could ask us anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from sentinel import paths
from sentinel.bus import Bus
from sentinel.core.events import EventsLost, FileChanged, SessionOpened, SourceDegraded
from sentinel.errors import AlreadyRunning, SentinelError
from sentinel.instance import Claim
from sentinel.paths import Paths


class Reachable(Protocol):
    """What others reach us by (``sources.inbox.Inbox``)."""

    @property
    def in_place(self) -> bool:
        """Whether it is still what others find under its name."""

    async def start(self) -> None:
        """Listen there."""

    async def close(self) -> None:
        """Stop listening."""


class Residence:
    """Takes lock and inbox up again when they were removed.

    Args:
        stop: Called with a sentence when another agent has taken our place meanwhile.
    """

    def __init__(self, bus: Bus, where: Paths, claim: Claim, inbox: Reachable, stop: Callable[[str], None]) -> None:
        self._bus = bus
        self._where = where
        self._claim = claim
        self._inbox = inbox
        self._stop = stop
        self._said = ""
        self._moving: asyncio.Task[None] | None = None
        self._left = False
        self._ours = {str(where.runtime), str(where.lock), str(where.inbox)}
        bus.subscribe(FileChanged, self._changed)
        # The directory above may have vanished too, and with it the watch: now and then somebody looks.
        bus.subscribe(SessionOpened, lambda _: self.check())
        bus.subscribe(EventsLost, lambda _: self.check())

    def _changed(self, event: FileChanged) -> None:
        if event.path in self._ours:
            self.check()

    def check(self) -> None:
        """Look whether all is in place, and mend what is not."""
        if self._left or self._moving is not None or (self._claim.in_place and self._inbox.in_place):
            return
        try:
            paths.prepare(self._where)
            if not self._claim.in_place:
                self._claim.renew()
        except AlreadyRunning as error:
            self._stop(f"its runtime directory was removed, and another agent is there now: {error}")
            return
        except SentinelError as error:
            self._say(str(error))
            return
        if not self._inbox.in_place:
            self._moving = asyncio.get_running_loop().create_task(self._reopen())

    async def leave(self) -> None:
        """Close the inbox for good. That its socket goes is a change in the directory, too, and nothing to mend."""
        self._left = True
        if self._moving is not None:
            await asyncio.wait([self._moving])
        await self._inbox.close()

    async def _reopen(self) -> None:
        try:
            await self._inbox.close()
            await self._inbox.start()
            self._said = ""
        except OSError as error:
            self._say(f"the inbox cannot be opened: {error.strerror}")
        finally:
            self._moving = None

    def _say(self, why: str) -> None:
        if why != self._said:
            self._said = why
            self._bus.publish(SourceDegraded("inbox", why))
