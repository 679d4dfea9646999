"""Learns which sockets the processes of a session are bound to, whatever they said of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sentinel.bus import Bus
from sentinel.core.events import SocketsFound
from sentinel.core.facts import Unknown
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Belongings, Session, SocketMark
from sentinel.handlers.later import Later
from sentinel.observe import sockets, tmux

_LOOKS = (0.05, 0.5, 3.0)
"""Seconds after a session's birth: sockets are bound a little after the program is recognised."""


class BoundSockets:
    """Writes down with each session the sockets that it is seen to have."""

    def __init__(self, bus: Bus, ledger: Ledger, later: Later) -> None:
        self._bus = bus
        self._ledger = ledger
        self._later = later

    def look_later(self, pid: int) -> None:
        """Look once its sockets should be there, and twice more."""
        for delay in _LOOKS:
            self._later(delay, self.look, pid)

    def look(self, pid: int) -> None:
        """Learn which socket files a session's root or an Overmind's tmux server is bound to."""
        member = self._ledger.member(pid)
        record = self._ledger.record(member.owner) if member is not None else None
        marks = sockets.listening_sockets_of(pid)
        if record is None or record.death is not None or isinstance(marks, Unknown):
            return
        had = record.session.belongings
        known = _by_path(had.sockets, marks)
        if known != had.sockets:
            self._amend(record.session, replace(had, sockets=known))

    def add_server(self, session: Session, server: tmux.TmuxServer) -> None:
        """The name of an Overmind's instance, which its script directory has too. Of the socket: the path at least."""
        had = session.belongings
        directory = f"{had.script_root}/{server.label}"
        known = _by_path(had.sockets, [server.socket] if server.socket else [])
        self._amend(session, replace(had, sockets=known, directories=(*had.directories, directory)))

    def _amend(self, session: Session, belongings: Belongings) -> None:
        self._ledger.amend(replace(session, belongings=belongings))
        self._bus.publish(SocketsFound(session.key))


def _by_path(had: Iterable[SocketMark], seen: Iterable[SocketMark]) -> tuple[SocketMark, ...]:
    """Each path once, as it was seen last."""
    return tuple({mark.path: mark for mark in (*had, *seen)}.values())
