"""Has the hooks that the user asked for on every tmux server, and sets anew what was wiped."""

from __future__ import annotations

from sentinel.bus import Bus
from sentinel.core.events import SourceDegraded
from sentinel.core.facts import Unknown
from sentinel.core.sessions import Session, SocketMark
from sentinel.integrations import tmux
from sentinel.paths import Paths


class TmuxHooks:
    """Sets hooks where they are missing. A visitor of ``TmuxVisits``.

    A configuration that is read again may wipe them; one of them tells of that, and should it
    be wiped too, the next visit for whatever reason finds out.
    """

    def __init__(self, bus: Bus, where: Paths) -> None:
        self._bus = bus
        self._where = where
        self._set: set[str] = set()
        """Keys of the servers on which this agent has set them: what is there before that may
        be an older agent's, with another runtime directory."""
        self._refused: set[str] = set()

    async def __call__(self, server: Session, socket: SocketMark) -> Unknown | None:
        """Set what is missing. A server that refuses is told of once."""
        if not tmux.wanted(self._where):
            return None
        if server.key in self._set:
            lacking = await tmux.missing(socket)
            if isinstance(lacking, Unknown):
                return lacking
            if not lacking:
                return None
        refusal = await tmux.install(socket, self._where)
        if refusal is None:
            self._set.add(server.key)
        elif server.key not in self._refused:
            self._refused.add(server.key)
            self._bus.publish(SourceDegraded("tmux hooks", str(refusal)))
        return refusal
