"""Answers the death of a session: judge what it left, end it, tidy up, say what was done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator

from sentinel.bus import Bus
from sentinel.core.actions import Outcome
from sentinel.core.events import (
    CleanedUp,
    HandlerFailed,
    SessionClosed,
    SessionDied,
    SessionEmptied,
    SessionJudged,
)
from sentinel.core.facts import Death
from sentinel.core.judge import is_in_use, lacks_an_answer
from sentinel.core.ledger import Ledger, Record
from sentinel.core.policy import Policy
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Condemned, ProcessVerdict, Spared
from sentinel.handlers.examiner import Examiner
from sentinel.handlers.leftovers import Leftovers
from sentinel.handlers.pursuit import Pursuit
from sentinel.handlers.restraint import Restraint
from sentinel.handlers.rounds import SECOND_LOOKS, Rounds
from sentinel.reaper.signals import Signaller, Strike
from sentinel.reaper.staleness import Glimpse

_CLIENT_LOOKS = (0.25, 5.0)
"""Seconds between looks at what works for somebody: at first, doubled each time, and at most. The
kernel tells nobody that a stranger's connection has ended."""


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
        restraint: Restraint,
        catch_up: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._examiner = examiner
        self._rounds = Rounds(
            ledger=ledger,
            examiner=examiner,
            signaller=signaller,
            policy=policy,
            restraint=restraint,
            catch_up=catch_up,
        )
        self._leftovers = leftovers
        self._policy = policy
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[asyncio.Task[None]] = set()
        """What nobody waits for: clean-ups that are through but for what works for somebody, or that begin anew."""
        self._in_use: set[str] = set()
        """Dead sessions of which something works for somebody."""
        self._causes: dict[str, int] = {}
        """``seq`` of the deaths whose sessions are not closed yet: the last exit may be told long after."""
        bus.subscribe(SessionDied, self.died)
        bus.subscribe(SessionEmptied, self.emptied)

    def died(self, event: SessionDied) -> None:
        """Judge and strike at once; waiting, tidying and reporting are a task."""
        record = self._ledger.record(event.session.key)
        if record is None:
            return
        cause = self._causes[event.session.key] = self._bus.current
        try:
            self._answer(record, event.death, cause)
        finally:
            for around in self._dead_around(event.session):
                self._start(self._once_more(around, cause))

    def _answer(self, record: Record, death: Death, cause: int) -> None:
        began, looked = time.monotonic(), Glimpse()
        strike: Strike | None = None
        verdicts: tuple[ProcessVerdict, ...] = ()
        try:
            verdicts = self._examiner.left_by(record)
            strike = self._rounds.strike(record, verdicts, looked, cause)
            self._bus.publish(SessionJudged(record.session, death, verdicts), cause)
        finally:  # what failed is told by the bus; the session is closed all the same
            work = self._guarded(record, strike, verdicts, began, cause)
            self._tasks[record.session.key] = asyncio.get_running_loop().create_task(work)

    def _dead_around(self, session: Session) -> Iterator[Record]:
        """Dead sessions in which it was born: what they bore may have been spared for its sake."""
        passed = {session.key}
        while session.outer not in passed and (record := self._ledger.record(session.outer)) is not None:
            if record.death is not None:
                yield record
            session = record.session
            passed.add(session.key)

    async def _once_more(self, record: Record, cause: int) -> None:
        """Judge a dead session again, after all that is under way, and answer if anybody is not spared any more."""
        key = record.session.key
        while (running := self._tasks.get(key)) is not None:
            await asyncio.wait([running])
        if record.death is None or not record.settled or key in self._in_use:
            return  # it will be answered; and what works for somebody is judged again and again anyway
        try:
            left, _ = self._rounds.look(record, ())
            condemned = [one.id.pid for one in left if isinstance(one, Condemned)]
            if any(member.spared for member in map(self._ledger.member, condemned) if member is not None):
                self._answer(record, record.death, cause)
        except Exception as error:  # noqa: BLE001 - nobody awaits this one: what it was is told
            self._tell_of_failure(error, cause)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    def emptied(self, event: SessionEmptied) -> None:
        """The last process that it left has ended: files that only that one held are nobody's now."""
        record = self._ledger.record(event.key)
        try:
            if record is not None and record.settled and record.files_kept:
                self._tidy_once_more(record)
        finally:
            self._close_if_empty(event.key)

    def _tidy_once_more(self, record: Record) -> None:
        began = time.monotonic()
        outcomes = tuple(o for o in self._leftovers.remove(record.session, self._policy()) if o.is_done)
        if outcomes:
            tidied = CleanedUp(record.session, outcomes, time.monotonic() - began)
            self._bus.publish(tidied, self._causes.get(record.session.key, 0))

    async def settle(self) -> None:
        """Wait until every clean-up that was begun is through."""
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _guarded(
        self, record: Record, strike: Strike | None, verdicts: tuple[ProcessVerdict, ...], began: float, cause: int
    ) -> None:
        left: tuple[ProcessVerdict, ...] = ()
        try:
            await self._see_through(record, strike, verdicts, began, cause)
            left = self._examiner.left_by(record) if verdicts else ()
        except Exception as error:  # noqa: BLE001 - one clean-up that fails must not leave the others waiting
            self._tell_of_failure(error, cause)
        finally:
            del self._tasks[record.session.key]
        if not is_in_use(left):
            self._settle(record)
            return
        self._in_use.add(record.session.key)
        self._start(self._until_unused(record, left, cause))

    def _tell_of_failure(self, error: Exception, cause: int) -> None:
        self._bus.publish(HandlerFailed("CleanUp", "SessionDied", f"{type(error).__name__}: {error}"), cause)

    def _settle(self, record: Record) -> None:
        self._ledger.settle(record)
        self._close_if_empty(record.session.key)

    async def _see_through(
        self, record: Record, strike: Strike | None, verdicts: tuple[ProcessVerdict, ...], began: float, cause: int
    ) -> None:
        session = record.session
        # What is held by a process that is about to end is judged again after its end.
        early = [o for o in self._leftovers.remove(session, self._policy()) if o.is_done]
        async with asyncio.TaskGroup() as group:  # who is awaited must not wait for who gives no answer
            awaited = group.create_task(self._rounds.finish(record, strike))
            answered = group.create_task(self._late(record, verdicts, cause))
        second, late_ends = answered.result()
        outcomes = [*awaited.result(), *late_ends]
        strikes = [one for one in (strike, second) if one is not None]
        intent = strikes[0].intent if strikes else 0
        if verdicts:
            grace = began + (strikes[0].action.grace if strikes else 0.0)
            pursuit = Pursuit(record, verdicts, strikes, bus=self._bus, ledger=self._ledger, rounds=self._rounds)
            outcomes += await pursuit.run(grace, intent)
        late = self._leftovers.remove(session, self._policy(), [outcome.target for outcome in early])
        record.files_kept = not all(outcome.is_done for outcome in late)
        outcomes += [*early, *late]
        if outcomes:
            self._bus.publish(CleanedUp(session, tuple(outcomes), time.monotonic() - began, intent), cause)

    async def _late(
        self, record: Record, verdicts: tuple[ProcessVerdict, ...], cause: int
    ) -> tuple[Strike | None, tuple[Outcome, ...]]:
        strike = await self._look_again(record, verdicts, cause)
        return strike, await self._rounds.finish(record, strike)

    async def _until_unused(self, record: Record, left: tuple[ProcessVerdict, ...], cause: int) -> None:
        """Judge what works for somebody again and again: when nobody is left who needs it, it is ended."""
        try:
            await self._wait_for_clients(record, left, cause)
        except Exception as error:  # noqa: BLE001 - as above
            self._tell_of_failure(error, cause)
        self._in_use.discard(record.session.key)
        self._settle(record)

    async def _wait_for_clients(self, record: Record, left: tuple[ProcessVerdict, ...], cause: int) -> None:
        struck = {verdict.id for verdict in left if isinstance(verdict, Condemned)}
        pause, longest = _CLIENT_LOOKS
        while record.death is not None and is_in_use(left):
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)
            began = time.monotonic()
            left, looked = self._rounds.look(record, struck)
            if prey := {verdict.id for verdict in left if isinstance(verdict, Condemned)}:
                struck |= prey
                strike = self._rounds.strike(record, left, looked, cause)
                self._bus.publish(SessionJudged(record.session, record.death, left), cause)
                await self._see_through(record, strike, left, began, cause)
                left, pause = self._examiner.left_by(record), _CLIENT_LOOKS[0]

    async def _look_again(self, record: Record, verdicts: tuple[ProcessVerdict, ...], cause: int) -> Strike | None:
        """Judge once more what was spared for want of an answer, and strike if there is one now."""
        death = record.death
        if death is None or not lacks_an_answer(verdicts):
            return None
        settled = {verdict.id for verdict in verdicts if not isinstance(verdict, Spared)}
        for pause in SECOND_LOOKS:
            await asyncio.sleep(pause)
            verdicts, looked = self._rounds.look(record, settled)
            if not lacks_an_answer(verdicts):
                break
        strike = self._rounds.strike(record, verdicts, looked, cause)
        self._bus.publish(SessionJudged(record.session, death, verdicts), cause)
        return strike

    def _close_if_empty(self, key: str) -> None:
        """Forget a dead session of which nothing is left, once it was cleaned up after."""
        record = self._ledger.record(key)
        if record is not None and record.settled and not record.members:
            self._ledger.close(key)
            self._bus.publish(SessionClosed(record.session), self._causes.pop(key, 0))
