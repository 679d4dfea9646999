"""Reports to whoever supervises the agent: ready, how it goes, still alive, going.

The watchdog's due is paid only after a look: whether each session's root that the ledger
has as living does live. A loop that stands still pays nothing, and neither does one that
cannot look any more; then systemd ends the agent and starts it anew.
"""

from __future__ import annotations

from collections.abc import Callable

from sentinel.bus import Bus
from sentinel.core.events import RECORDED, EventsLost
from sentinel.core.facts import ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.sentences import count
from sentinel.handlers.later import Later
from sentinel.observe import processes
from sentinel.service.supervisor import Supervisor

_SOON = 0.2
"""Seconds: what happens together is told together."""
_SHARE = 0.5
"""Of the watchdog's time, as sd_watchdog_enabled(3) advises."""


class Attendance:
    """What systemd is told, for as long as it wants to be told anything.

    Args:
        held: Why nothing is ended now; empty when it may be.
        safe: Why this is safe mode; empty when it is not.
    """

    def __init__(
        self,
        bus: Bus,
        ledger: Ledger,
        supervisor: Supervisor,
        *,
        held: Callable[[], str],
        later: Later,
        safe: str = "",
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._supervisor = supervisor
        self._held = held
        self._later = later
        self._safe = safe
        self._due = False
        self._missed: set[ProcessId] = set()

    def begin(self) -> None:
        """All is watched."""
        if not self._supervisor.listens:
            return
        self._supervisor.ready(self.status())
        for kind in RECORDED:
            self._bus.subscribe(kind, lambda _: self._tell_soon())
        if self._supervisor.watchdog:
            self.look()

    def reload(self, work: Callable[[], None]) -> None:
        """Do the work between the two words that frame a reload."""
        self._supervisor.reloading()
        work()
        self._supervisor.ready(self.status())

    def end(self) -> None:
        """The agent goes."""
        self._supervisor.stopping()

    def look(self) -> None:
        """Look whether the living live, then say that we do; and again in time.

        A root that had ended at the last look too, and whose end nobody has told, is a
        lost notice: then everything is looked at.
        """
        ended = {
            record.session.root
            for record in self._ledger.sessions()
            if record.death is None and processes.ended(record.session.root) is True
        }
        if lost := ended & self._missed:
            self._bus.publish(EventsLost("watchdog", f"{count(len(lost), 'session')} had ended untold"))
        self._missed = ended - lost
        self._supervisor.alive()
        self._later(self._supervisor.watchdog * _SHARE, self.look)

    def status(self) -> str:
        """One line on what is watched and what is to be done."""
        if self._safe:
            return f"safe mode, nothing is ended: {self._safe}"
        records = list(self._ledger.sessions())
        dead = sum(record.death is not None for record in records)
        left = f"something is left of {count(dead, 'dead session')}" if dead else "nothing to clean"
        watched = f"watching {count(len(records) - dead, 'session')}, {left}"
        return f"{watched}; nothing is ended: {why}" if (why := self._held()) else watched

    def _tell_soon(self) -> None:
        if not self._due:
            self._due = True
            self._later(_SOON, self._tell)

    def _tell(self) -> None:
        self._due = False
        self._supervisor.status(self.status())
