"""Goes after what a dead session bears while it is being cleaned up after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from sentinel.bus import Bus
from sentinel.core.actions import Outcome, Result
from sentinel.core.events import Supervised
from sentinel.core.judge import lacks_an_answer
from sentinel.core.ledger import Ledger, Record
from sentinel.core.supervision import Revivals
from sentinel.core.verdicts import Condemned, ProcessVerdict, Spared
from sentinel.handlers.rounds import SECOND_LOOKS, Rounds
from sentinel.observe import processes
from sentinel.reaper.signals import Strike
from sentinel.reaper.staleness import Glimpse

_LONGEST = 5.0
"""Seconds after the grace in which what goes on bearing others is pursued."""
_QUIET = 3
"""Looks in a row that find nobody new: nothing is borne any more. Where the kernel tells of births one would do."""
_PAUSE = 0.005
"""Seconds between them."""
_LOOK_EVERY = 0.05
"""Seconds between looks for what a dying session has borne, within the grace."""


class Pursuit:
    """Strikes at what one dead session goes on bearing, until nobody new is found.

    Of what forks and ends faster than it can be looked at, most are gone when they are
    struck: only the others are told. The first to be struck have a grace of their own; a
    thing that forks for ever has none.

    Args:
        record: The session.
        judged: Whom the clean-up began with: whoever was born since has not been judged.
        struck: What it has sent them, and to whom it came late, all done with by now.
    """

    def __init__(
        self,
        record: Record,
        judged: Collection[ProcessVerdict],
        struck: Collection[Strike],
        *,
        bus: Bus,
        ledger: Ledger,
        rounds: Rounds,
    ) -> None:
        self._record = record
        self._bus = bus
        self._ledger = ledger
        self._rounds = rounds
        targets = [target for strike in struck for target in strike.action.targets]
        self._known = {one.id for one in (*judged, *targets)}
        """Who is not looked at any more. A newborn of which nobody could tell is."""
        self._spared = {one.id.pid for one in judged if isinstance(one, Spared) and not lacks_an_answer((one,))}
        self._revivals = Revivals()
        self._revivals.ended([target.facts for target in targets], time.monotonic())

    async def run(self, grace: float, intent: int) -> list[Outcome]:
        """Go after them all, and say what became of each.

        Args:
            grace: When that of the first strike is over, in monotonic seconds.
            intent: ``seq`` of that strike's intent, from which the further ones follow.
        """
        outcomes: list[Outcome] = []
        seen = set(self._known)
        moving, quiet = False, 0
        while quiet < _QUIET and time.monotonic() < grace + _LONGEST and not self._rounds.held():
            newborn, looked = await self._newborn(grace)
            fresh = {verdict.id for verdict in newborn} - seen
            if not newborn and not moving:
                break  # the common case: nobody was born
            moving = True
            self._known.update(verdict.id for verdict in newborn if not lacks_an_answer((verdict,)))
            seen |= fresh
            prey = self._prey(newborn)
            strike = self._rounds.strike(self._record, prey, looked, intent, without_grace=bool(outcomes))
            if strike is not None:
                done = await self._rounds.finish(self._record, strike)
                self._revivals.ended([target.facts for target in strike.action.targets], time.monotonic())
                outcomes += [outcome for outcome in done if outcome.result is not Result.GONE]
            quiet = 0 if fresh else quiet + 1
            await asyncio.sleep(0 if fresh else SECOND_LOOKS[quiet - 1] if newborn else _PAUSE)
        return outcomes

    async def _newborn(self, grace: float) -> tuple[tuple[ProcessVerdict, ...], Glimpse]:
        """What was born since the death and is still there when the grace is over, by which look.

        A process that is asked to end may start others that put its things in order.
        """
        while True:
            newborn, looked = self._rounds.look(self._record, self._known)
            if not any(isinstance(v, Condemned) for v in newborn) or time.monotonic() >= grace:
                return newborn, looked
            await asyncio.sleep(_LOOK_EVERY)

    def _prey(self, newborn: Collection[ProcessVerdict]) -> list[ProcessVerdict]:
        """Without those that stay whatever was found of them; what these bear stays from then on."""
        left = [verdict for verdict in newborn if not self._is_of_a_spared_one(verdict)]
        return [verdict for verdict in left if not self._is_revived(verdict)]

    def _is_of_a_spared_one(self, verdict: ProcessVerdict) -> bool:
        """Whether it was born of one that is spared: then it is too, though that one may have ended since."""
        member = self._ledger.entry(verdict.id)
        if member is None or member.parent not in self._spared:
            return False
        self._spared.add(verdict.id.pid)
        return True

    def _is_revived(self, verdict: ProcessVerdict) -> bool:
        """Whether somebody who lives starts it again each time that it is ended."""
        member = self._ledger.entry(verdict.id)
        if member is None or not isinstance(verdict, Condemned):
            return False
        facts = verdict.facts
        if not self._revivals.is_revived(facts, member.parent, member.since):
            return False
        self._spared.add(facts.id.pid)
        by = processes.comm(facts.parent)
        self._bus.publish(Supervised(self._record.session, facts.id, facts.name, facts.parent, by))
        return True
