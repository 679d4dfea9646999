"""Ends and removes what a person said yes to, with the agent's own hand, in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from sentinel.assembly import Core
from sentinel.bus import Bus
from sentinel.core.actions import Outcome, Reopen, Result, Terminate
from sentinel.core.events import CleanedUp
from sentinel.core.facts import ProcessId
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.plan import deepest_first
from sentinel.core.policy import Policy
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Absent, Condemned, Spared
from sentinel.doctor.findings import Finding
from sentinel.doctor.leftovers import Leftovers
from sentinel.handlers.reopen import reopening
from sentinel.handlers.second_look import SecondLook, untold
from sentinel.reaper.staleness import Glimpse

_LOOK_EVERY = 0.1
"""Seconds between two words on how many have ended."""


def forbidden(policy: Policy) -> str:
    """Why nothing may be ended or removed now, as a sentence; empty when it may."""
    return f"nothing is ended: {policy.why_not}" if policy.why_not else ""


class Clearing:
    """Ends processes and removes files of a list that a person has seen.

    What was shown is what is considered: each is judged once more, and it is the very process
    or nobody. The kill budget is for an agent that nobody watches and does not count here.

    Args:
        bus: Has the journal write down what was done.
    """

    def __init__(self, leftovers: Leftovers, core: Core, bus: Bus) -> None:
        self._leftovers = leftovers
        self._core = core
        self._bus = bus

    async def end(self, shown: Sequence[Finding], grace: float, progress: Callable[[int], None]) -> tuple[Outcome, ...]:
        """End those that are offered among the ``shown``, and say what became of each.

        Args:
            shown: Findings of these ``leftovers``.
            grace: Seconds between SIGTERM and SIGKILL.
            progress: Told now and then how many have come to their end.
        """
        began, looked = time.monotonic(), Glimpse()
        wanted = {finding.candidate.id for finding in shown if finding.target is not None}
        verdicts = [verdict for who, verdict in self._leftovers.judge().items() if who in wanted]
        refused = [untouched(verdict) for verdict in verdicts if not isinstance(verdict, Condemned)]
        condemned = [verdict for verdict in verdicts if isinstance(verdict, Condemned)]
        if why := forbidden(self._core.policy()):
            refused += [Outcome(str(one.id), Result.HELD, why, one.facts.name) for one in condemned]
            condemned = []
        outcomes = tuple(refused)
        if condemned:
            action = Terminate(self._leftovers.session, deepest_first(condemned), grace)
            strike = self._core.signaller.strike(action, 0, looked)
            telling = asyncio.create_task(self._tell([one.id for one in condemned], progress))
            try:
                outcomes += await self._core.signaller.finish(strike, self._look_again)
            finally:
                telling.cancel()
        if outcomes:
            self._bus.publish(CleanedUp(self._leftovers.session, outcomes, time.monotonic() - began))
        return outcomes

    def remove(self, ended: Sequence[Session]) -> tuple[Outcome, ...]:
        """Move what these sessions left into quarantine, if it is still that and still nobody's."""
        done: list[Outcome] = []
        for session in ended:
            began = time.monotonic()
            outcomes = tuple(self._core.leftovers.remove(session, self._core.policy()))
            if outcomes:
                self._bus.publish(CleanedUp(session, outcomes, time.monotonic() - began))
            done += outcomes
        return tuple(done)

    def reopen(self, server: ProcessId) -> Outcome:
        """Have a tmux server whose socket is gone make it again, if it still is one and has a handler for that."""
        action = reopening(server)
        if action is None:
            return Outcome(str(server), Result.GONE, "it has its socket again, or has ended", TMUX_SERVER)
        return self._core.signaller.reopen(action) if isinstance(action, Reopen) else action

    def _look_again(self) -> SecondLook:
        """Before SIGKILL, and before a SIGTERM that was held up, whatever changed counts, a pause too."""
        return SecondLook(lambda: forbidden(self._core.policy()), lambda: self._leftovers.judge().values(), untold)

    async def _tell(self, whom: Sequence[ProcessId], progress: Callable[[int], None]) -> None:
        while True:
            progress(sum(self._core.handles.ended(who) is True for who in whom))
            await asyncio.sleep(_LOOK_EVERY)


def untouched(verdict: Spared | Absent) -> Outcome:
    """What became of one that is not ended."""
    if isinstance(verdict, Spared):
        return Outcome(str(verdict.id), Result.REFUSED, verdict.reason, verdict.name)
    return Outcome(str(verdict.id), Result.GONE)
