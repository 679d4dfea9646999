"""All that the agent does for tmux beyond watching its processes, tied together."""

from __future__ import annotations

from collections.abc import Callable

from sentinel.bus import Bus
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.handlers.dead_sockets import DeadSockets
from sentinel.handlers.later import Later
from sentinel.handlers.reopen import ReopenServers
from sentinel.handlers.tmux_hooks import TmuxHooks
from sentinel.handlers.tmux_sessions import TmuxSessions
from sentinel.handlers.tmux_status import TmuxStatus
from sentinel.handlers.tmux_visits import TmuxVisits
from sentinel.journal import Journal
from sentinel.paths import Paths
from sentinel.reaper.signals import Signaller


class Tmux:
    """Names the sessions inside of tmux servers, keeps the hooks there, and makes lost sockets again.

    Args:
        look_for_sockets: Learns which sockets the process of that pid has.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        journal: Journal,
        where: Paths,
        signaller: Signaller,
        policy: Callable[[], Policy],
        later: Later,
        look_for_sockets: Callable[[int], None],
    ) -> None:
        self.sessions = TmuxSessions(bus, ledger)
        ReopenServers(
            bus, ledger=ledger, signaller=signaller, policy=policy, later=later, look_for_sockets=look_for_sockets
        )
        self._dead_sockets = DeadSockets(
            bus, ledger=ledger, journal=journal, policy=policy, later=later, quarantine=where.quarantine
        )
        self._status = TmuxStatus(bus, where, policy)
        self._visits = TmuxVisits(bus, ledger, (TmuxHooks(bus, where), self.sessions, self._status), later)

    async def close(self) -> None:
        """Come to an end with what is under way."""
        await self._visits.close()
        await self._status.close()
        await self._dead_sockets.close()
