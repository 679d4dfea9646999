"""What each round of a clean-up is made of: a look at what is left, a strike, the wait for the ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial

from sentinel.core.actions import Outcome
from sentinel.core.facts import ProcessId
from sentinel.core.ledger import Ledger, Record
from sentinel.core.plan import plan_processes
from sentinel.core.policy import Policy
from sentinel.core.verdicts import ProcessVerdict
from sentinel.handlers.examiner import Examiner
from sentinel.handlers.restraint import Restraint
from sentinel.handlers.second_look import at_what_is_left
from sentinel.reaper.signals import Signaller, Strike
from sentinel.reaper.staleness import Glimpse

SECOND_LOOKS = (0.02, 0.1, 0.5)
"""Seconds before each further look at what nobody could tell of: a process that is just ending
gives no answers (its /proc/PID/fd is closed to its own user), and shelters what hangs under it."""


class Rounds:
    """Looks at what dead sessions left, strikes, and waits for the ends.

    Args:
        catch_up: Publishes what the kernel has told up to now; asked before each look.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        examiner: Examiner,
        signaller: Signaller,
        policy: Callable[[], Policy],
        restraint: Restraint,
        catch_up: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._examiner = examiner
        self._signaller = signaller
        self._policy = policy
        self._restraint = restraint
        self._catch_up = catch_up

    def held(self) -> str:
        """Why nothing may be ended now; empty when it may."""
        return self._restraint.held()

    def look(self, record: Record, without: Collection[ProcessId]) -> tuple[tuple[ProcessVerdict, ...], Glimpse]:
        """Judge what a dead session has left by now, all but these, and say when that look was begun."""
        self._catch_up()
        looked = Glimpse()
        return tuple(verdict for verdict in self._examiner.left_by(record) if verdict.id not in without), looked

    def strike(
        self,
        record: Record,
        verdicts: Collection[ProcessVerdict],
        looked: Glimpse,
        cause: int,
        *,
        without_grace: bool = False,
    ) -> Strike | None:
        """Send SIGTERM to the condemned, unless that is held back. None: nobody is condemned."""
        self._ledger.judged(verdicts)
        action = plan_processes(record.session, verdicts, self._policy(), without_grace=without_grace)
        if action is None:
            return None
        if why := self._restraint.refuses(record, len(action.targets)):
            return Strike.held(action, why, time.monotonic())
        return self._signaller.strike(action, cause, looked)

    async def finish(self, record: Record, strike: Strike | None) -> tuple[Outcome, ...]:
        """What became of those that were struck, when the grace is over and who was left has been killed."""
        if strike is None:
            return ()
        look_again = partial(at_what_is_left, record, self._examiner, self._restraint, self._catch_up)
        return await self._signaller.finish(strike, look_again)
