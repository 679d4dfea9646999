"""Answers the death of a session: judge what it left, end it, tidy up, say what was done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from sentinel.bus import Bus
from sentinel.core.actions import Outcome, Result
from sentinel.core.events import CleanedUp, HandlerFailed, SessionClosed, SessionDied, SessionEmptied, SessionJudged
from sentinel.core.facts import ProcessId
from sentinel.core.ledger import Ledger, Record
from sentinel.core.plan import plan_processes
from sentinel.core.policy import Policy
from sentinel.core.verdicts import Condemned, ProcessVerdict
from sentinel.handlers.examiner import Examiner
from sentinel.handlers.leftovers import Leftovers
from sentinel.reaper.signals import Signaller, Strike

_ROUNDS = 10
"""How often a dying session is looked at again for what it bore meanwhile."""
_LOOK_EVERY = 0.05
"""Seconds between looks for what a dying session has borne, within the grace."""
_LENIENT_ROUNDS = 2
"""After so many rounds of new births there is no more grace: it is a thing that forks for ever."""


class CleanUp:
    """Cleans up after dead sessions.

    Args:
        catch_up: Publishes what the kernel has told up to now; asked before each judgement.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        examiner: Examiner,
        signaller: Signaller,
        leftovers: Leftovers,
        policy: Callable[[], Policy],
        catch_up: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._examiner = examiner
        self._signaller = signaller
        self._leftovers = leftovers
        self._policy = policy
        self._catch_up = catch_up
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._causes: dict[str, int] = {}
        """``seq`` of the deaths whose sessions are not closed yet: the last exit may be told long after."""
        bus.subscribe(SessionDied, self.died)
        bus.subscribe(SessionEmptied, lambda event: self._close_if_empty(event.key))

    def died(self, event: SessionDied) -> None:
        """Judge and strike at once; waiting, tidying and reporting are a task."""
        record = self._ledger.record(event.session.key)
        if record is None:
            return
        cause = self._causes[event.session.key] = self._bus.current
        began = time.monotonic()
        strike = None
        try:
            verdicts = self._examiner.left_by(record)
            strike = self._strike(record, verdicts, cause)
            self._bus.publish(SessionJudged(record.session, event.death, verdicts))
        finally:  # what failed is told by the bus; the session is closed all the same
            work = self._guarded(record, strike, began, cause)
            self._tasks[event.session.key] = asyncio.get_running_loop().create_task(work)

    async def settle(self) -> None:
        """Wait until every clean-up that was begun is through."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    def _strike(
        self, record: Record, verdicts: Iterable[ProcessVerdict], cause: int, *, without_grace: bool = False
    ) -> Strike | None:
        action = plan_processes(record.session, verdicts, self._policy(), without_grace=without_grace)
        return self._signaller.strike(action, cause) if action is not None else None

    async def _guarded(self, record: Record, strike: Strike | None, began: float, cause: int) -> None:
        key = record.session.key
        try:
            await self._see_through(record, strike, began, cause)
        except Exception as error:  # noqa: BLE001 - one clean-up that fails must not leave the others waiting
            self._bus.publish(HandlerFailed("CleanUp", "SessionDied", f"{type(error).__name__}: {error}"), cause)
        finally:
            del self._tasks[key]
        self._close_if_empty(key)

    async def _see_through(self, record: Record, strike: Strike | None, began: float, cause: int) -> None:
        session = record.session
        outcomes: list[Outcome] = []
        # What is held by a process that is about to end is judged again after its end.
        early = [o for o in self._leftovers.remove(session, self._policy()) if o.result is not Result.KEPT]
        intent = strike.intent if strike is not None else 0
        known = {member.id for member in record.members.values()}
        grace = began + (strike.action.grace if strike is not None else 0.0)
        rounds = 0
        while strike is not None:
            outcomes += await self._signaller.finish(strike, self._examiner.verdict)
            known.update(target.id for target in strike.action.targets)
            rounds += 1
            newborn = () if rounds == _ROUNDS else await self._newborn(record, known, grace)
            known.update(verdict.id for verdict in newborn)
            strike = self._strike(record, newborn, intent, without_grace=rounds >= _LENIENT_ROUNDS)
        outcomes += early
        outcomes += self._leftovers.remove(session, self._policy())
        if outcomes:
            self._bus.publish(CleanedUp(session, tuple(outcomes), time.monotonic() - began, intent), cause)

    async def _newborn(self, record: Record, known: set[ProcessId], grace: float) -> tuple[ProcessVerdict, ...]:
        """What was born since the death and is still there when the grace (monotonic seconds) is over.

        A process that is asked to end may start others that put its things in order.
        """
        while True:
            self._catch_up()
            newborn = tuple(verdict for verdict in self._examiner.left_by(record) if verdict.id not in known)
            if not any(isinstance(v, Condemned) for v in newborn) or time.monotonic() >= grace:
                return newborn
            await asyncio.sleep(_LOOK_EVERY)

    def _close_if_empty(self, key: str) -> None:
        """Forget a dead session of which nothing is left, once it was cleaned up after."""
        record = self._ledger.record(key)
        if record is not None and record.death is not None and not record.members and key not in self._tasks:
            self._ledger.close(key)
            self._bus.publish(SessionClosed(record.session), self._causes.pop(key, 0))
