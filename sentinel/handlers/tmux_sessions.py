"""Knows the sessions inside of tmux servers, and which of them each pane is in.

Their panes are sessions of ours, whose deaths the kernel tells; these are what a person sees
and names. One that comes and goes between two looks is never told of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sentinel.bus import Bus
from sentinel.core.events import (
    SessionDied,
    TmuxSessionClosed,
    TmuxSessionOpened,
    TmuxSessionRenamed,
)
from sentinel.core.facts import Unknown
from sentinel.core.ledger import Ledger, Record
from sentinel.core.sanitise import clean
from sentinel.core.sessions import Kind, Session, SocketMark
from sentinel.observe import tmux


@dataclass(frozen=True, slots=True)
class Inside:
    """A session inside of a tmux server, with the panes of it that are watched."""

    server: Session
    number: str
    name: str
    panes: tuple[Record, ...]


class TmuxSessions:
    """Compares what each server lists with what it listed before. A visitor of ``TmuxVisits``."""

    def __init__(self, bus: Bus, ledger: Ledger) -> None:
        self._bus = bus
        self._ledger = ledger
        self._names: dict[str, dict[str, str]] = {}
        """Of each server that has answered: session names by their ids, by its key."""
        self._panes: dict[str, dict[str, str]] = {}
        """Session ids by pane ids, by the key of the server."""
        bus.subscribe(SessionDied, self._died)

    def about(self, session: Session) -> dict[str, object]:
        """What ``sentinel sessions --json`` shows beside what we watch: as the server said last."""
        match session.kind:
            case Kind.TMUX:
                names = self._names.get(session.key, {})
                return {"tmux_sessions": [clean(names[number]) for number in sorted(names, key=_age)]}
            case Kind.PANE:
                number = self._panes.get(session.outer, {}).get(session.name, "")
                return {"tmux_session": clean(self._names.get(session.outer, {}).get(number, ""))}
        return {}

    def called(self, name: str) -> list[Inside]:
        """Those of that name, as it is or as it is shown. Each server may have one."""
        return [
            Inside(record.session, number, its, tuple(self._panes_of(record.session, number)))
            for record in self._ledger.sessions()
            for number, its in self._names.get(record.session.key, {}).items()
            if name in {its, clean(its)}
        ]

    def _panes_of(self, server: Session, number: str) -> Iterator[Record]:
        inside = self._panes.get(server.key, {})
        for record in self._ledger.sessions():
            session = record.session
            if session.kind is Kind.PANE and session.outer == server.key and inside.get(session.name) == number:
                yield record

    async def __call__(self, server: Session, socket: SocketMark) -> Unknown | None:
        """Look, and tell what is new."""
        panes = await tmux.list_panes(socket)
        if isinstance(panes, Unknown):
            return panes
        record = self._ledger.record(server.key)
        if record is not None and record.death is None:  # else it has ended since, and all of that is told
            self._compare(server, {pane.session_id: pane.session for pane in panes})
            self._panes[server.key] = {pane.pane_id: pane.session_id for pane in panes}
        return None

    def _compare(self, server: Session, now: dict[str, str]) -> None:
        before = self._names.get(server.key, {})
        self._names[server.key] = now
        for number in sorted(before.keys() - now.keys(), key=_age):
            self._bus.publish(TmuxSessionClosed(server, number, before[number]))
        for number in sorted(now, key=_age):
            if number not in before:
                self._bus.publish(TmuxSessionOpened(server, number, now[number]))
            elif before[number] != now[number]:
                self._bus.publish(TmuxSessionRenamed(server, number, now[number], before[number]))

    def _died(self, event: SessionDied) -> None:
        """With a server all of its sessions are closed. No hook tells that."""
        self._panes.pop(event.session.key, None)
        if event.session.key in self._names:
            self._compare(event.session, {})
            del self._names[event.session.key]


def _age(number: str) -> int:
    """By which the ids of sessions, ``$3``, are sorted: a server counts them."""
    return int(number.removeprefix("$"))
