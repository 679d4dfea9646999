"""Says in tmux's status line how Sentinel is: an option that the line reads, not a program that it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sentinel.bus import Bus
from sentinel.core.actions import Result
from sentinel.core.events import CleanedUp
from sentinel.core.facts import Unknown
from sentinel.core.policy import Policy
from sentinel.core.sentences import count
from sentinel.core.sessions import Session, SocketMark
from sentinel.integrations import tmux
from sentinel.paths import Paths

_FAREWELL = 0.3
"""Seconds that all servers get to hear that nobody watches any more."""


class TmuxStatus:
    """Sets ``@sentinel_status`` where it says something else. A visitor of ``TmuxVisits``.

    What it says has no name in it that anybody else has given.
    """

    def __init__(self, bus: Bus, where: Paths, policy: Callable[[], Policy]) -> None:
        self._where = where
        self._policy = policy
        self._last = ""
        self._shown: dict[str, tuple[SocketMark, str]] = {}
        """What each server shows, by its key."""
        bus.subscribe(CleanedUp, self._cleaned_up)

    async def __call__(self, server: Session, socket: SocketMark) -> Unknown | None:
        """Show it, where the user wants anything of us in tmux."""
        if not tmux.wanted(self._where):
            self._shown.pop(server.key, None)
            return None
        text = self._text()
        if self._shown.get(server.key) == (socket, text):
            return None
        refusal = await tmux.show_status(socket, text)
        if refusal is None:
            self._shown[server.key] = socket, text
        return refusal

    async def close(self) -> None:
        """Nobody watches any more: show nothing."""
        shown = [socket for socket, _ in self._shown.values()]
        await asyncio.gather(*(tmux.show_status(socket, "", _FAREWELL) for socket in shown))

    def _text(self) -> str:
        return ("watching" if self._policy().acts else "ending nothing") + self._last

    def _cleaned_up(self, event: CleanedUp) -> None:
        ended = sum(outcome.result in {Result.ENDED, Result.KILLED} for outcome in event.outcomes)
        if ended:
            self._last = f", ended {count(ended, 'process')} at {time.strftime('%H:%M')}"
