"""The door: one message at a time, a short queue, and a truthful answer to each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sentinel.notify.breaker import Breaker
from sentinel.notify.popup import Popup
from sentinel.notify.way import Delivery, Message, Way

log = logging.getLogger(__name__)

QUEUE = 8
_STOPPING = Delivery(shown=False, why="Sentinel is stopping")
_TOO_MANY = Delivery(shown=False, why="too many at once")


@dataclass(frozen=True, slots=True)
class _Request:
    message: Message
    answer: asyncio.Future[Delivery]

    def settle(self, delivery: Delivery) -> None:
        if not self.answer.done():  # who asked may have been cancelled
            self.answer.set_result(delivery)


class Notifier:
    """Shows messages by the first way that takes them. Idle, it owns no process, no thread, no task and no descriptor.

    One popup at a time waits for its buttons, for a minute at most: the next one ends that.

    Args:
        ways: To the person, the best first. Each has a circuit breaker of its own.
        clock: Monotonic seconds, for the breakers.
    """

    def __init__(self, ways: Sequence[Way], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ways = [(way, Breaker(clock)) for way in ways]
        self._waiting: deque[_Request] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._popup: Popup | None = None
        """The last one that had buttons."""
        self._closed = False

    async def send(self, message: Message) -> Delivery:
        """Show a message, after those that wait already.

        Never raises, unless the caller is cancelled. When more than `QUEUE` wait, the oldest
        gives way: what happened last is what the person wants to know.
        """
        if self._closed:
            return _STOPPING
        request = _Request(message, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if len(self._waiting) > QUEUE:
            self._waiting.popleft().settle(_TOO_MANY)
        if self._pump is None:
            self._pump = asyncio.create_task(self._work_off(), name="notifications")
        return await request.answer

    async def close(self) -> None:
        """End the attempt that is under way, answer all who wait, refuse the rest, and take the buttons away."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft().settle(_STOPPING)
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
        await self._no_more_buttons()

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                request = self._waiting.popleft()
                delivery = _STOPPING
                try:
                    if not request.answer.done():
                        delivery = await self._by_any_way(request.message)
                finally:
                    request.settle(delivery)
        finally:
            self._pump = None

    async def _by_any_way(self, message: Message) -> Delivery:
        failures = []
        await self._no_more_buttons(at_once=message.replaces)
        for way, breaker in self._ways:
            delivery = await _attempt(way, breaker, message)
            if delivery.shown:
                self._popup = delivery.popup
                return delivery
            failures.append((way.name, delivery.why))
        if len(failures) == 1:
            return Delivery(shown=False, why=failures[0][1])
        said = "; ".join(f"{name}: {why}" for name, why in failures)
        return Delivery(shown=False, why=said or "no way to you is configured")

    async def _no_more_buttons(self, *, at_once: bool = False) -> None:
        popup, self._popup = self._popup, None
        if popup is not None:
            await popup.close(at_once=at_once)


async def _attempt(way: Way, breaker: Breaker, message: Message) -> Delivery:
    if obstacle := way.obstacle():
        return Delivery(shown=False, why=obstacle)  # costs nothing to find out, so it is no business of the breaker
    if refusal := breaker.refusal():
        return Delivery(shown=False, why=refusal)
    try:
        delivery = await way.show(message)
    except Exception as error:  # a notification must never break what it tells about
        log.exception("a notification failed")
        delivery = Delivery(shown=False, why=f"it failed: {error}")
    breaker.record(delivery.why)
    return delivery
