"""Tells the person what died, what was cleaned and how to see why. Always after the act."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

from sentinel.bus import Bus
from sentinel.core.actions import Outcome, Result
from sentinel.core.events import BreakerOpened, CleanedUp, Notified, SessionJudged
from sentinel.core.facts import Death
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count, how_it_died
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Spared
from sentinel.notify import Notifier


class Tell:
    """Turns clean-ups into desktop notifications, and records whether they were shown.

    Args:
        notifier: None when the person wants no notifications.
        threshold: Clean-ups of fewer things than this are not worth a popup.
    """

    def __init__(self, bus: Bus, notifier: Notifier | None, threshold: Callable[[], int]) -> None:
        self._bus = bus
        self._notifier = notifier
        self._threshold = threshold
        self._deaths: dict[str, tuple[Death, int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        bus.subscribe(SessionJudged, self.judged)
        bus.subscribe(CleanedUp, self.cleaned)
        bus.subscribe(BreakerOpened, self.stopped)

    def judged(self, event: SessionJudged) -> None:
        """Keep how it died until the clean-up is through."""
        spared = sum(isinstance(verdict, Spared) for verdict in event.processes)
        self._deaths[event.session.key] = (event.death, spared)
        while len(self._deaths) > _REMEMBERED:
            del self._deaths[next(iter(self._deaths))]

    def cleaned(self, event: CleanedUp) -> None:
        """Say what was done. Nothing waits for it."""
        death, spared = self._deaths.pop(event.session.key, (None, 0))
        done = [outcome for outcome in event.outcomes if outcome.result not in _NOTHING_DONE]
        if done and len(done) >= self._threshold():
            self._say("Sentinel cleaned up", summary(event.session, death, done, spared), event.session.key)

    def stopped(self, event: BreakerOpened) -> None:
        """Say once that from now on nothing is ended."""
        self._say("Sentinel stopped itself", f"It only reports now: {event.why}.\nsentinel resume")

    def _say(self, title: str, body: str, session: str = "") -> None:
        if self._notifier is not None:
            task = asyncio.get_running_loop().create_task(
                self._send(self._notifier, title, body, session, self._bus.current)
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, notifier: Notifier, title: str, body: str, session: str, cause: int) -> None:
        delivery = await notifier.send(title, body)
        self._bus.publish(Notified(session, body, delivery.shown, delivery.why), cause)

    async def close(self) -> None:
        """Wait for the notifications under way; each has its own deadline."""
        while self._tasks:
            await asyncio.wait(self._tasks)


_REMEMBERED = 256
_NOTHING_DONE = frozenset({Result.GONE, Result.KEPT, Result.HELD})
"""Not worth a popup. What is held was announced when it was switched, and would come in a storm."""


def summary(session: Session, death: Death | None, outcomes: list[Outcome], spared: int) -> str:
    """The text of a notification: two short sentences and the command that tells more."""
    results = Counter(outcome.result for outcome in outcomes)
    files = results[Result.REMOVED]
    ended = results[Result.ENDED] + results[Result.KILLED]
    said = [count(ended, "process") + " ended"] if ended else []
    if results[Result.KILLED]:
        said[-1] += f" ({results[Result.KILLED]} by SIGKILL)"
    if files:
        said.append(count(files, "stale file") + " removed")
    if left := results[Result.SURVIVED] + results[Result.REFUSED]:
        said.append(f"{left} could not be cleaned")
    if results[Result.HELD]:
        why = next(outcome.reason for outcome in outcomes if outcome.result is Result.HELD)
        said.append(f"{count(results[Result.HELD], 'process')} not ended ({clean(why)})")
    if spared:
        said.append(f"{spared} left alone")
    died = how_it_died(death) if death is not None else "ended"
    return f"{clean(session.title)} {died}: {', '.join(said)}.\nsentinel explain {session.id}"
