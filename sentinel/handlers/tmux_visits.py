"""Asks tmux servers, when there is reason to, what only they know.

What happens to processes the kernel tells; which session a pane is in, and which hooks a
server has, it does not. So a server is visited a moment after something in it was born or has
died, or when one of its hooks gave a hint: once, however many reasons there were. Nothing
polls, and no connection is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sentinel.bus import Bus
from sentinel.core.events import (
    BreakerOpened,
    CleanedUp,
    ConfigurationRead,
    Event,
    EventsLost,
    HandlerFailed,
    LookDue,
    Paused,
    PauseRanOut,
    ServerReopened,
    SessionDied,
    SessionOpened,
    TmuxHinted,
    WentOn,
    Woke,
)
from sentinel.core.facts import Unknown
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Kind, Session, SocketMark
from sentinel.handlers.later import Later

Visitor = Callable[[Session, SocketMark], Awaitable[Unknown | None]]
"""Asks one server. ``Unknown``: it did not answer, and whoever comes next need not try."""

_SHOWN: tuple[type[Event], ...] = (CleanedUp, Paused, PauseRanOut, WentOn, BreakerOpened, ConfigurationRead)
"""What changes the status line."""
_SETTLED = 0.1
"""Seconds between a reason and the visit: what happens together is seen together, and a server that
was just born has bound its socket."""
_AGAIN = (0.5, 3.0)
"""Seconds before each further visit to a server that did not answer: one that is being born has no socket yet."""
_REST = 60.0
"""Seconds for which a server that never answered is left in peace."""


@dataclass(slots=True)
class _Appointment:
    """What is planned for one server."""

    due: bool = False
    """A visit is coming: a further reason needs no other."""
    under_way: bool = False
    failures: int = 0
    """Visits in a row without an answer."""


class TmuxVisits:
    """Brings visitors to tmux servers, one server at a time each.

    Args:
        visitors: In the order in which they ask.
    """

    def __init__(self, bus: Bus, ledger: Ledger, visitors: Sequence[Visitor], later: Later) -> None:
        self._bus = bus
        self._ledger = ledger
        self._visitors = visitors
        self._later = later
        self._book: dict[str, _Appointment] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        bus.subscribe(SessionOpened, lambda event: self._around(event.session))
        bus.subscribe(SessionDied, lambda event: self._around(event.session))
        bus.subscribe(TmuxHinted, self._hinted)
        for kind in (EventsLost, LookDue, Woke, ServerReopened, *_SHOWN):
            bus.subscribe(kind, lambda _: self.everywhere())

    def everywhere(self) -> None:
        """There is reason to visit every server."""
        for record in self._ledger.sessions():
            self._around(record.session)

    async def close(self) -> None:
        """Break off what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _around(self, session: Session) -> None:
        """A server has come or gone, or something in one has."""
        key = session.key if session.kind is Kind.TMUX else session.outer
        record = self._ledger.record(key)
        if record is None or record.session.kind is not Kind.TMUX or record.death is not None:
            self._book.pop(key, None)
        else:
            self._reason(key)

    def _hinted(self, event: TmuxHinted) -> None:
        session = self._ledger.rooted_at(event.server)
        if session is not None and session.kind is Kind.TMUX:
            self._around(session)

    def _reason(self, key: str) -> None:
        appointment = self._book.setdefault(key, _Appointment())
        if not appointment.due:
            self._plan(key, appointment, _SETTLED if appointment.failures <= len(_AGAIN) else _REST)

    def _plan(self, key: str, appointment: _Appointment, delay: float) -> None:
        appointment.due = True
        self._later(delay, self._begin, key)

    def _begin(self, key: str) -> None:
        appointment = self._book.get(key)
        if appointment is None:
            return
        if appointment.under_way:
            self._plan(key, appointment, _SETTLED)
            return
        appointment.due, appointment.under_way = False, True
        task = asyncio.get_running_loop().create_task(self._visit(key, appointment))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _visit(self, key: str, appointment: _Appointment) -> None:
        try:
            answered = await self._ask(key)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next visit must have its turn
            self._bus.publish(HandlerFailed("TmuxVisits", "visit", f"{type(error).__name__}: {error}"))
            answered = False
        finally:
            appointment.under_way = False
        failures = appointment.failures = 0 if answered else appointment.failures + 1
        if 0 < failures <= len(_AGAIN) and not appointment.due:
            self._plan(key, appointment, _AGAIN[failures - 1])

    async def _ask(self, key: str) -> bool:
        """Whether the server answered all that it was asked."""
        for visitor in self._visitors:
            record = self._ledger.record(key)
            if record is None or record.death is not None:
                return True  # nobody is there to be asked again
            sockets = record.session.belongings.sockets
            if not sockets or isinstance(await visitor(record.session, sockets[0]), Unknown):
                return False
        return True
