"""Answers the death of a session: judge what it left, end it, tidy up, say what was done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterator
from functools import partial

from sentinel.bus import Bus
from sentinel.core.actions import Outcome, Result
from sentinel.core.events import (
    CleanedUp,
    HandlerFailed,
    SessionClosed,
    SessionDied,
    SessionEmptied,
    SessionJudged,
    Supervised,
)
from sentinel.core.facts import Death, ProcessId
from sentinel.core.judge import is_in_use, lacks_an_answer
from sentinel.core.ledger import Ledger, Record
from sentinel.core.plan import plan_processes
from sentinel.core.policy import Policy
from sentinel.core.sessions import Session
from sentinel.core.supervision import Revivals
from sentinel.core.verdicts import Condemned, ProcessVerdict, Spared
from sentinel.handlers.examiner import Examiner
from sentinel.handlers.leftovers import Leftovers
from sentinel.handlers.restraint import Restraint
from sentinel.handlers.second_look import at_what_is_left
from sentinel.observe import processes
from sentinel.reaper.signals import Signaller, Strike
from sentinel.reaper.staleness import Glimpse

_LONGEST = 5.0
"""Seconds after the grace in which what goes on bearing others is pursued."""
_QUIET = 3
"""Looks in a row that find nobody new: nothing is borne any more. Where the kernel tells of births one would do."""
_PAUSE = 0.005
"""Seconds between them."""
_LOOK_EVERY = 0.05
"""Seconds between looks for what a dying session has borne, within the grace."""
_SECOND_LOOKS = (0.02, 0.1, 0.5)
"""Seconds before each further look at what nobody could tell of: a process that is just ending
gives no answers (its /proc/PID/fd is closed to its own user), and shelters what hangs under it."""
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
        self._signaller = signaller
        self._leftovers = leftovers
        self._policy = policy
        self._restraint = restraint
        self._catch_up = catch_up
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
            strike = self._strike(record, verdicts, looked, cause)
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
            self._catch_up()
            condemned = [one.id.pid for one in self._examiner.left_by(record) if isinstance(one, Condemned)]
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

    def _strike(
        self, record: Record, verdicts: Collection[ProcessVerdict], seen: Glimpse, cause: int, *, no_grace: bool = False
    ) -> Strike | None:
        self._ledger.judged(verdicts)
        action = plan_processes(record.session, verdicts, self._policy(), without_grace=no_grace)
        if action is None:
            return None
        if why := self._restraint.refuses(record, len(action.targets)):
            return Strike.held(action, why, time.monotonic())
        return self._signaller.strike(action, cause, seen)

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
        known = {verdict.id for verdict in verdicts}  # whoever was born since has not been judged
        spared = {v.id.pid for v in verdicts if isinstance(v, Spared) and not lacks_an_answer((v,))}
        async with asyncio.TaskGroup() as group:  # who is awaited must not wait for who gives no answer
            finishing = group.create_task(self._finish(record, strike))
            rounds = [finishing, group.create_task(self._late(record, verdicts, cause))]
        strikes = [struck for struck, _ in map(asyncio.Task.result, rounds) if struck is not None]
        outcomes = [outcome for _, ends in map(asyncio.Task.result, rounds) for outcome in ends]
        intent = strikes[0].intent if strikes else 0
        if verdicts:
            known.update(target.id for one in strikes for target in one.action.targets)
            revivals = Revivals()
            revivals.ended([target.facts for one in strikes for target in one.action.targets], time.monotonic())
            grace = began + (strikes[0].action.grace if strikes else 0.0)
            outcomes += await self._pursue(record, known, spared, revivals, grace=grace, intent=intent)
        late = self._leftovers.remove(session, self._policy(), [outcome.target for outcome in early])
        record.files_kept = not all(outcome.is_done for outcome in late)
        outcomes += [*early, *late]
        if outcomes:
            self._bus.publish(CleanedUp(session, tuple(outcomes), time.monotonic() - began, intent), cause)

    async def _finish(self, record: Record, strike: Strike | None) -> tuple[Strike | None, tuple[Outcome, ...]]:
        if strike is None:
            return None, ()
        look_again = partial(at_what_is_left, record, self._examiner, self._restraint, self._catch_up)
        return strike, await self._signaller.finish(strike, look_again)

    async def _late(
        self, record: Record, verdicts: tuple[ProcessVerdict, ...], cause: int
    ) -> tuple[Strike | None, tuple[Outcome, ...]]:
        return await self._finish(record, await self._look_again(record, verdicts, cause))

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
            self._catch_up()
            began, looked = time.monotonic(), Glimpse()
            left = tuple(verdict for verdict in self._examiner.left_by(record) if verdict.id not in struck)
            if prey := {verdict.id for verdict in left if isinstance(verdict, Condemned)}:
                struck |= prey
                strike = self._strike(record, left, looked, cause)
                self._bus.publish(SessionJudged(record.session, record.death, left), cause)
                await self._see_through(record, strike, left, began, cause)
                left, pause = self._examiner.left_by(record), _CLIENT_LOOKS[0]

    async def _look_again(self, record: Record, verdicts: tuple[ProcessVerdict, ...], cause: int) -> Strike | None:
        """Judge once more what was spared for want of an answer, and strike if there is one now."""
        death = record.death
        if death is None or not lacks_an_answer(verdicts):
            return None
        settled = {verdict.id for verdict in verdicts if not isinstance(verdict, Spared)}
        for pause in _SECOND_LOOKS:
            await asyncio.sleep(pause)
            self._catch_up()
            looked = Glimpse()
            verdicts = tuple(verdict for verdict in self._examiner.left_by(record) if verdict.id not in settled)
            if not lacks_an_answer(verdicts):
                break
        strike = self._strike(record, verdicts, looked, cause)
        self._bus.publish(SessionJudged(record.session, death, verdicts), cause)
        return strike

    async def _pursue(
        self, record: Record, known: set[ProcessId], spared: set[int], revivals: Revivals, *, grace: float, intent: int
    ) -> list[Outcome]:
        """Strike at what a dead session goes on bearing, until nobody new is found.

        Of what forks and ends faster than it can be looked at, most are gone when they are
        struck: only the others are told. The first to be struck have a grace of their own; a
        thing that forks for ever has none.
        """
        outcomes: list[Outcome] = []
        seen = set(known)
        moving, quiet = False, 0
        while quiet < _QUIET and time.monotonic() < grace + _LONGEST and not self._restraint.held():
            newborn, looked = await self._newborn(record, known, grace)
            fresh = {verdict.id for verdict in newborn} - seen
            if not newborn and not moving:
                break  # the common case: nobody was born
            moving = True
            known.update(verdict.id for verdict in newborn if not lacks_an_answer((verdict,)))
            seen |= fresh
            prey = [verdict for verdict in newborn if not self._is_of(verdict, spared)]
            prey = [verdict for verdict in prey if not self._is_revived(record, verdict, spared, revivals)]
            strike = self._strike(record, prey, looked, intent, no_grace=bool(outcomes))
            if strike is not None:
                _, done = await self._finish(record, strike)
                revivals.ended([target.facts for target in strike.action.targets], time.monotonic())
                outcomes += [outcome for outcome in done if outcome.result is not Result.GONE]
            quiet = 0 if fresh else quiet + 1
            await asyncio.sleep(0 if fresh else _SECOND_LOOKS[quiet - 1] if newborn else _PAUSE)
        return outcomes

    def _is_of(self, verdict: ProcessVerdict, spared: set[int]) -> bool:
        """Whether it was born of one that is spared: then it is too, though that one may have ended since."""
        member = self._ledger.member(verdict.id.pid)
        if member is None or member.id != verdict.id or member.parent not in spared:
            return False
        spared.add(verdict.id.pid)
        return True

    def _is_revived(self, record: Record, verdict: ProcessVerdict, spared: set[int], revivals: Revivals) -> bool:
        """Whether somebody who lives starts it again each time that it is ended; it is spared from then on."""
        member = self._ledger.member(verdict.id.pid)
        if member is None or member.id != verdict.id or not isinstance(verdict, Condemned):
            return False
        facts = verdict.facts
        if not revivals.is_revived(facts, member.parent, member.since):
            return False
        spared.add(facts.id.pid)
        by = processes.comm(facts.parent)
        self._bus.publish(Supervised(record.session, facts.id, facts.name, facts.parent, by))
        return True

    async def _newborn(
        self, record: Record, known: set[ProcessId], grace: float
    ) -> tuple[tuple[ProcessVerdict, ...], Glimpse]:
        """What was born since the death and is still there when the grace (monotonic seconds) is over, by which look.

        A process that is asked to end may start others that put its things in order.
        """
        while True:
            self._catch_up()
            looked = Glimpse()
            newborn = tuple(verdict for verdict in self._examiner.left_by(record) if verdict.id not in known)
            if not any(isinstance(v, Condemned) for v in newborn) or time.monotonic() >= grace:
                return newborn, looked
            await asyncio.sleep(_LOOK_EVERY)

    def _close_if_empty(self, key: str) -> None:
        """Forget a dead session of which nothing is left, once it was cleaned up after."""
        record = self._ledger.record(key)
        if record is not None and record.settled and not record.members:
            self._ledger.close(key)
            self._bus.publish(SessionClosed(record.session), self._causes.pop(key, 0))
