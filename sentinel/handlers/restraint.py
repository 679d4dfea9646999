"""Says when Sentinel must not do what it judged right: paused, set to observe, or beyond its budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from sentinel.bus import Bus
from sentinel.core.budget import Budget, cause_of
from sentinel.core.events import BreakerOpened
from sentinel.core.ledger import Ledger, Record
from sentinel.core.policy import Policy
from sentinel.core.switches import Halt
from sentinel.observe import processes
from sentinel.switches import SwitchBoard


class Restraint:
    """Asked before each strike, and once more before each SIGKILL.

    Args:
        policy: What the person wishes, with what is held now.
    """

    def __init__(self, bus: Bus, ledger: Ledger, policy: Callable[[], Policy], switches: SwitchBoard, uid: int) -> None:
        self._bus = bus
        self._ledger = ledger
        self._policy = policy
        self._switches = switches
        self._uid = uid
        self._budget = Budget()
        self._opened = False

    def held(self) -> str:
        """Why nothing may be ended now; empty when it may."""
        return self._policy().why_not

    def refuses(self, record: Record, number: int) -> str:
        """Why ``number`` processes that a dead session left may not be ended now; empty when they may.

        What is beyond the budget opens the breaker, and ``sentinel resume`` begins a new budget.
        """
        if why := self.held():
            return why
        if self._opened:
            self._opened, self._budget = False, Budget()
        now, allowed = time.monotonic(), self._policy().budget
        cause = cause_of(self._ledger, record.session, now - allowed.seconds)
        if not (why := self._budget.refuses(cause, number, now, allowed, self._population)):
            return ""
        self._opened = True
        halt = Halt(time.time(), f"the kill budget is spent: {why}")
        self._switches.change(lambda switches: replace(switches, breaker=halt))
        self._bus.publish(BreakerOpened(why))
        return halt.why

    def _population(self, enough: int) -> int:
        """How many processes the user has, counted up to ``enough``. None to be seen is few: that refuses."""
        return processes.population(self._uid, enough)
