"""Tells the person what died, what was cleaned and how to see why. Always after the act."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from functools import partial

from sentinel.bus import Bus
from sentinel.core.actions import Result
from sentinel.core.buttons import Button
from sentinel.core.events import (
    BreakerOpened,
    ButtonPressed,
    CleanedUp,
    LockRemoved,
    Notified,
    SessionJudged,
    StartedSafely,
)
from sentinel.core.facts import Death, Unknown
from sentinel.core.notices import Bulletin, Manner, Outbox
from sentinel.core.sentences import how_it_died
from sentinel.core.tally import Holdings, Tally, brief, of_lock, sentence, tally
from sentinel.core.verdicts import Condemned, Spared
from sentinel.handlers.buttons import Buttons, Offer
from sentinel.notify import Delivery, Message, Notifier
from sentinel.observe import ports

_REMEMBERED = 256
_DONE = "Sentinel cleaned up"
_STOPPED = "Sentinel stopped itself"
_CRASHED = "Sentinel is in safe mode"


class _Judgement:
    """What was seen of a dead session before anything was ended."""

    __slots__ = ("death", "held", "spared")

    def __init__(self, death: Death) -> None:
        self.death = death
        self.held: dict[str, Holdings] = {}
        self.spared: dict[str, Spared] = {}

    def add(self, event: SessionJudged) -> None:
        """Take in what was found. Who was spared at first, and is not any more or has ended, is not left alone."""
        self.spared.clear()
        for verdict in event.processes:
            if isinstance(verdict, Condemned):
                evidence = verdict.evidence[0] if verdict.evidence else ""
                self.held[str(verdict.id)] = Holdings(verdict.facts.memory, verdict.ports, verdict.facts.name, evidence)
            elif isinstance(verdict, Spared):
                self.spared[str(verdict.id)] = verdict


class Tell:
    """Turns clean-ups into a few messages, and records whether they were shown.

    While nothing waits to be told there is no timer.

    Args:
        notifier: None when the person wants no notifications.
        manner: What is worth telling, and when.
        buttons: What can be done from a popup; None for nothing.
    """

    def __init__(
        self, bus: Bus, notifier: Notifier | None, manner: Callable[[], Manner], buttons: Buttons | None = None
    ) -> None:
        self._bus = bus
        self._notifier = notifier
        self._manner = manner
        self._buttons = buttons
        self._pressed_on = Offer()
        self._record = 0
        """``seq`` of the last popup's record."""
        self._home = os.path.expanduser("~")
        self._judged: dict[str, _Judgement] = {}
        self._outbox = Outbox()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._at_once: set[asyncio.Task[None]] = set()
        bus.subscribe(SessionJudged, self.judged)
        bus.subscribe(CleanedUp, self.cleaned)
        bus.subscribe(LockRemoved, self.unlocked)
        bus.subscribe(BreakerOpened, self.stopped)
        bus.subscribe(StartedSafely, self.crashed)
        bus.subscribe(Notified, self._recorded)
        bus.subscribe(ButtonPressed, self._answer)

    def judged(self, event: SessionJudged) -> None:
        """Keep how it died, and what it held, until the clean-up is through."""
        self._judged.setdefault(event.session.key, _Judgement(event.death)).add(event)
        while len(self._judged) > _REMEMBERED:
            del self._judged[next(iter(self._judged))]

    def cleaned(self, event: CleanedUp) -> None:
        """Have it told with what comes soon after. Nothing waits for it."""
        judged = self._judged.pop(event.session.key, None)
        if (
            self._notifier is None
            or event.session.unattended
            or not self._manner().wants(event.session.kind, event.outcomes)
        ):
            return
        it = tally(
            event.session,
            how_it_died(judged.death) if judged else "ended",
            event.outcomes,
            spared=judged.spared.values() if judged else (),
            held=judged.held if judged else None,
            home=self._home,
        )
        self._outbox.add(it, _now(), self._bus.current)
        self._wait()

    def unlocked(self, event: LockRemoved) -> None:
        """Have it told that a lock was taken away."""
        wanted = self._notifier is not None and self._manner().min_things <= 1
        if wanted and event.outcome.result is Result.REMOVED:
            self._outbox.add(of_lock(event.path, event.holder, self._home), _now(), self._bus.current)
            self._wait()

    def stopped(self, event: BreakerOpened) -> None:
        """Say at once, and whatever the hour, that from now on nothing is ended."""
        body = f"It only reports now: {event.why}.\nsentinel resume"
        self._interrupt(
            Message(_STOPPED, body, urgent=True, short=f"{_STOPPED}, and only reports now. sentinel resume")
        )

    def crashed(self, event: StartedSafely) -> None:
        """Say the same of safe mode."""
        body = f"It only reports now: {event.why}.\nsentinel doctor"
        self._interrupt(
            Message(_CRASHED, body, urgent=True, short=f"{_CRASHED}, and only reports now. sentinel doctor")
        )

    def _interrupt(self, message: Message) -> None:
        self._outbox.interrupt(_now())
        self._say_now(message, Offer())

    def _say_now(self, message: Message, offer: Offer) -> None:
        if self._notifier is None:
            return
        send = self._send_at_once(self._notifier, message, offer, self._bus.current)
        task = asyncio.get_running_loop().create_task(send)
        self._at_once.add(task)
        task.add_done_callback(self._at_once.discard)

    async def close(self) -> None:
        """Tell what waits, and wait for what is under way; each message has its own deadline."""
        self._buttons = None  # who could do what they say is about to go
        self._cancel_timer()
        while self._task is not None or self._at_once:
            await asyncio.wait([*self._at_once, *([self._task] if self._task else [])])
        self._cancel_timer()
        if (rest := self._outbox.rest(_now(), self._manner().quiet, _minute())) is not None:
            await self._tell(rest)

    # -- when --------------------------------------------------------------------------

    def _wait(self) -> None:
        """Come back when something is due, unless a message is under way: its end comes here too."""
        self._cancel_timer()
        if self._task is None and (due := self._outbox.due(_now())) is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._release)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self) -> None:
        self._timer = None
        if (bulletin := self._outbox.take(_now(), self._manner().quiet, _minute())) is not None:
            self._task = asyncio.get_running_loop().create_task(self._tell_and_go_on(bulletin))
        else:
            self._wait()

    async def _tell_and_go_on(self, bulletin: Bulletin) -> None:
        try:
            await self._tell(bulletin)
        finally:
            self._task = None
            self._wait()

    # -- what --------------------------------------------------------------------------

    async def _tell(self, bulletin: Bulletin) -> None:
        more = _more(bulletin.tally)
        body, short = _texts(bulletin.tally, more)
        session = bulletin.tally.first.key if bulletin.tally.first and bulletin.tally.sessions == 1 else ""
        if bulletin.unwanted or self._notifier is None:
            self._bus.publish(Notified(session, body, shown=False, why=bulletin.unwanted), bulletin.cause)
            return
        offer = Offer(session)
        if self._buttons is not None and self._manner().buttons:
            offer = self._buttons.offer(bulletin.tally, session, more)
        message = Message(_DONE, body, replaces=bulletin.replaces, short=short, buttons=offer.buttons)
        delivery = await self._send(self._notifier, message, offer, bulletin.cause)
        if delivery.shown:
            self._outbox.told(bulletin, _now(), replaceable=delivery.mark != 0)
        self._listen(delivery, offer)  # last: a press that waits is answered at once

    async def _send(self, notifier: Notifier, message: Message, offer: Offer, cause: int) -> Delivery:
        delivery = await notifier.send(message)
        told = Notified(offer.session, message.body, delivery.shown, delivery.why, delivery.by)
        self._bus.publish(told, cause)
        return delivery

    async def _send_at_once(self, notifier: Notifier, message: Message, offer: Offer, cause: int) -> None:
        self._listen(await self._send(notifier, message, offer, cause), offer)

    # -- what a person says to it ------------------------------------------------------

    def _recorded(self, _: Notified) -> None:
        self._record = self._bus.current

    def _listen(self, delivery: Delivery, offer: Offer) -> None:
        """Hear of the buttons of the popup that was recorded just now."""
        if delivery.popup is not None:
            delivery.popup.listen(partial(self._pressed, offer, self._record))

    def _pressed(self, offer: Offer, record: int, button: Button) -> None:
        if self._buttons is not None:
            self._pressed_on = offer
            self._bus.publish(ButtonPressed(offer.session, button), record)

    def _answer(self, event: ButtonPressed) -> None:
        """Do what was pressed, and say so in the place of the popup, unless another one is on its way there."""
        if self._buttons is None:
            return
        answer = self._buttons.press(event.button, self._pressed_on)
        self._outbox.answered()
        buttons = answer.offer.buttons
        self._say_now(Message(answer.title, answer.body, replaces=self._task is None, buttons=buttons), answer.offer)


def _more(it: Tally) -> str:
    """The command that tells more."""
    return f"sentinel explain {it.first.id}" if it.first and it.sessions == 1 else "sentinel events --since 10m"


def _texts(it: Tally, more: str) -> tuple[str, str]:
    """What was done, and that command: in whole, and in one short line."""
    listening = ports.listeners() if it.ports else {}
    taken = it.ports if isinstance(listening, Unknown) else {listener.port for listener in listening.values()}
    return f"{sentence(it, taken)}\n{more}", brief(it, more, taken)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _minute() -> int:
    """Of the local day."""
    now = time.localtime()
    return 60 * now.tm_hour + now.tm_min
