"""The event bus: one queue, one pump, one event at a time.

pyee keeps the table of who listens to what. Bare, it would call a nested event's handlers
before the rest of the outer one's, and let one failing handler silence the others; the
queue in front of it makes the order first in, first out and a failure an event.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from pyee import EventEmitter

from sentinel.core.events import Event, HandlerFailed

E = TypeVar("E", bound=Event)
log = logging.getLogger(__name__)


class Bus:
    """Typed first-in-first-out dispatch of events to handlers.

    ``publish`` may be called from anywhere in the loop's thread, also by a handler while
    it answers: what it publishes waits its turn. Handlers are synchronous and short; what
    takes long is a task of the room that does it.

    Args:
        record: Called with each event that has a ``type``, and the ``seq`` of its cause,
            before any handler sees it. Returns the event's own ``seq``.
    """

    def __init__(self, record: Callable[[Event, int], int]) -> None:
        self._record = record
        self._listeners = EventEmitter()
        self._queue: deque[tuple[Event, int]] = deque()
        self._pumping = False
        self.current = 0
        """``seq`` of the recorded event that is being answered: the cause of what follows."""

    def subscribe(self, kind: type[E], handler: Callable[[E], None]) -> None:
        """Have ``handler`` called for each event of exactly this type, in order of subscription."""

        def guarded(event: E) -> None:
            try:
                handler(event)
            except Exception as error:  # noqa: BLE001 - whatever it was, the other handlers go on
                self._failed(handler, event, error)

        self._listeners.add_listener(kind.__name__, guarded)

    def publish(self, event: Event, cause: int | None = None) -> None:
        """Queue an event and, unless the pump is at work further up the stack, work it off.

        ``cause`` is the ``seq`` of what led to it; by default the event being answered now.
        """
        self._queue.append((event, self.current if cause is None else cause))
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._queue:
                event, cause = self._queue.popleft()
                self.current = self._record(event, cause) if event.type else cause
                self._listeners.emit(type(event).__name__, event)
        finally:
            self._pumping = False
            self.current = 0

    def _failed(self, handler: Callable[[E], None], event: E, error: Exception) -> None:
        name = getattr(handler, "__qualname__", repr(handler))
        log.error("handler %s failed on %s", name, type(event).__name__, exc_info=error)
        if isinstance(event, HandlerFailed):
            return  # the recorder itself is broken: the log has it, and a loop would follow
        failure = HandlerFailed(name, type(event).__name__, f"{type(error).__name__}: {error}")
        self._queue.append((failure, self.current))
