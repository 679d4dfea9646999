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
    """

    def __init__(self) -> None:
        self._listeners = EventEmitter()
        self._queue: deque[Event] = deque()
        self._pumping = False

    def subscribe(self, kind: type[E], handler: Callable[[E], None]) -> None:
        """Have ``handler`` called for each event of exactly this type, in order of subscription."""

        def guarded(event: E) -> None:
            try:
                handler(event)
            except Exception as error:
                self._failed(handler, event, error)

        self._listeners.add_listener(kind.__name__, guarded)

    def publish(self, event: Event) -> None:
        """Queue an event and, unless the pump is at work further up the stack, work it off."""
        self._queue.append(event)
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._queue:
                event = self._queue.popleft()
                self._listeners.emit(type(event).__name__, event)
        finally:
            self._pumping = False

    def _failed(self, handler: Callable[[E], None], event: E, error: Exception) -> None:
        name = getattr(handler, "__qualname__", repr(handler))
        log.exception("handler %s failed on %s", name, type(event).__name__)
        if isinstance(event, HandlerFailed):
            return  # the recorder itself is broken: the log has it, and a loop would follow
        self._queue.append(HandlerFailed(name, type(event).__name__, f"{type(error).__name__}: {error}"))
