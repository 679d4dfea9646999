"""Answers what happens in the directories where sessions keep their sockets."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Protocol

from sentinel.bus import Bus
from sentinel.core.events import EventsLost, FileChanged, SessionClosed, SessionMoved, SessionOpened, SocketsFound
from sentinel.core.facts import SocketFacts
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import SocketMark
from sentinel.observe import sockets


class Watches(Protocol):
    """Where directories are watched (``sources.files.FileSource``)."""

    def watch(self, directory: str) -> bool:
        """Publish what changes in it."""

    def unwatch(self, directory: str) -> None:
        """Undo one ``watch``."""


class SocketKeeper:
    """Learns which file a session's socket is, while the session lives.

    A socket file is judged by its inode once its session is dead. The inode is known only
    from the moment the socket is bound, so the directory is watched for it.
    """

    def __init__(self, bus: Bus, ledger: Ledger, watches: Watches) -> None:
        self._ledger = ledger
        self._watches = watches
        self._watched: set[str] = set()
        bus.subscribe(SessionOpened, self.opened)
        bus.subscribe(SessionMoved, lambda _: self._watch())
        bus.subscribe(SessionClosed, lambda _: self._watch())
        bus.subscribe(SocketsFound, lambda _: self._watch())
        bus.subscribe(FileChanged, self.changed)
        bus.subscribe(EventsLost, self.lost)

    def opened(self, event: SessionOpened) -> None:
        """Watch where its sockets are or will be."""
        self._watch()
        self._mark(event.session.key)

    def _watch(self) -> None:
        """Watch the directories of the sockets of all sessions, and no others."""
        sessions = [record.session for record in self._ledger.sessions()]
        wanted = {os.path.dirname(mark.path) for session in sessions for mark in session.belongings.sockets}
        for directory in wanted - self._watched:
            self._watches.watch(directory)
        for directory in self._watched - wanted:
            self._watches.unwatch(directory)
        self._watched = wanted

    def changed(self, event: FileChanged) -> None:
        """A file came or went: is it the socket of a session that we know?"""
        for record in list(self._ledger.sessions()):
            if record.death is None and any(mark.path == event.path for mark in record.session.belongings.sockets):
                self._mark(record.session.key)

    def lost(self, _: EventsLost) -> None:
        """The word on a socket may be among what was lost."""
        for record in list(self._ledger.sessions()):
            if record.death is None:
                self._mark(record.session.key)

    def _mark(self, key: str) -> None:
        record = self._ledger.record(key)
        if record is None:
            return
        session = record.session  # as it is by now, not as it was when the event was published
        marks = tuple(_marked(mark) for mark in session.belongings.sockets)
        if marks != session.belongings.sockets:
            self._ledger.amend(replace(session, belongings=replace(session.belongings, sockets=marks)))


def _marked(mark: SocketMark) -> SocketMark:
    """The mark with the inode of the socket that somebody living is bound to at its path."""
    facts = sockets.look_at_socket(mark.path)
    if isinstance(facts, SocketFacts) and facts.is_socket and facts.bound is True:
        return SocketMark(mark.path, facts.device, facts.inode)
    return mark
