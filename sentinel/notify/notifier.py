"""The door: one notification at a time, a short queue, and a truthful answer to each."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sentinel.notify import session_bus, texts
from sentinel.notify.breaker import Breaker
from sentinel.notify.delivery import Delivery, deliver

log = logging.getLogger(__name__)

QUEUE = 8
_NO_BUS = Delivery(shown=False, why="this log-in has no desktop (no D-Bus session bus)")
_STOPPING = Delivery(shown=False, why="Sentinel is stopping")
_TOO_MANY = Delivery(shown=False, why="too many at once")


@dataclass(frozen=True, slots=True)
class _Request:
    title: str
    body: str
    answer: asyncio.Future[Delivery]

    def settle(self, delivery: Delivery) -> None:
        if not self.answer.done():  # who asked may have been cancelled
            self.answer.set_result(delivery)


class Notifier:
    """Shows notifications. Idle, it owns no process, no thread, no task and no descriptor.

    Args:
        deadline: Seconds that one attempt may take.
        environ: Where the desktop is looked for, at each attempt anew.
        clock: Monotonic seconds, for the circuit breaker.
    """

    def __init__(
        self,
        *,
        deadline: float,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deadline = deadline
        self._environ = environ
        self._breaker = Breaker(clock)
        self._waiting: deque[_Request] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    async def send(self, title: str, body: str) -> Delivery:
        """Show a notification, after those that wait already.

        Never raises, unless the caller is cancelled. When more than `QUEUE` wait, the oldest
        gives way: what happened last is what the person wants to know.
        """
        if self._closed:
            return _STOPPING
        request = _Request(title, body, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if len(self._waiting) > QUEUE:
            self._waiting.popleft().settle(_TOO_MANY)
        if self._pump is None:
            self._pump = asyncio.create_task(self._work_off(), name="notifications")
        return await request.answer

    async def close(self) -> None:
        """End the worker that is at it, answer all who wait, and refuse the rest."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft().settle(_STOPPING)
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                request = self._waiting.popleft()
                delivery = _STOPPING
                try:
                    if not request.answer.done():
                        delivery = await self._attempt(request.title, request.body)
                finally:
                    request.settle(delivery)
        finally:
            self._pump = None

    async def _attempt(self, title: str, body: str) -> Delivery:
        environ = _worker_environment(self._environ)
        if environ is None:
            return _NO_BUS  # costs nothing to find out, so it is no business of the breaker
        if refusal := self._breaker.refusal():
            return Delivery(shown=False, why=refusal)
        try:
            delivery = await deliver(texts.title(title), texts.body(body), deadline=self._deadline, environ=environ)
        except Exception as error:  # a notification must never break what it tells about
            log.exception("a notification failed")
            delivery = Delivery(shown=False, why=f"could not start the notifier: {error}")
        self._breaker.record(delivery.why)
        return delivery


def _worker_environment(environ: Mapping[str, str]) -> dict[str, str] | None:
    """The agent's environment with the bus named in it; None when there is no desktop."""
    if sys.platform == "darwin":
        return dict(environ)
    address = session_bus.find(environ)
    if not address:
        return None
    # Our text is UTF-8. Python and, in old versions, notify-send take arguments in the locale's encoding.
    return {**environ, "DBUS_SESSION_BUS_ADDRESS": address, "LC_ALL": "C.UTF-8"}
