"""Heals tmux servers whose socket file was taken away: by a cleaner of /tmp, by a slip of rm.

Such a server lives on with all that runs in it, and no client can reach it. SIGUSR1 makes it
bind the socket again (seen on 3.1c, 3.3a, 3.5a and 3.8). Where it cannot, because the
directory is gone or closed, it is left with a wrong umask for all that it starts (tmux issue
5506): so it is not asked then.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable

from sentinel.bus import Bus
from sentinel.core.actions import Outcome, Reopen, Result
from sentinel.core.events import EventsLost, FileChanged, LookDue, ServerReopened, SessionOpened, WentOn, Woke
from sentinel.core.facts import ProcessFacts, ProcessId
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.ledger import Ledger, Record
from sentinel.core.policy import Policy
from sentinel.core.sessions import Kind
from sentinel.handlers.later import Later
from sentinel.observe import processes, tmux
from sentinel.observe.tmux import TmuxServer
from sentinel.reaper.signals import Signaller

_REST = 10.0
"""Seconds before the same server is asked again: whoever takes its socket away again and again shall win."""
_BOUND_AGAIN = 0.1
"""Seconds after the signal at which the new socket is there to be looked at."""


def reopening(server: ProcessId) -> Reopen | Outcome | None:
    """What there is to do about a server: ask it, or say why not. None: it needs nothing, or is gone."""
    facts, about = processes.look(server.pid), tmux.server_of(server.pid)
    if not isinstance(facts, ProcessFacts) or facts.id != server or facts.name != TMUX_SERVER:
        return None
    if not isinstance(about, TmuxServer) or about.socket is not None or not about.bound_to.startswith("/"):
        return None  # it has one, or nobody can tell where it was
    directory = os.path.dirname(about.bound_to)
    if not os.access(directory, os.W_OK | os.X_OK):
        return _refusal(server, f"{directory} is not there, or not to be written")
    if processes.catches(server.pid, signal.SIGUSR1) is not True:  # it would end of it
        return _refusal(server, "it may not be prepared for SIGUSR1")
    return Reopen(server, (f"it listens on {about.bound_to}, where its socket is no more",))


def _refusal(server: ProcessId, why: str) -> Outcome:
    return Outcome(str(server), Result.REFUSED, why, TMUX_SERVER)


class ReopenServers:
    """Watches that living tmux servers can be reached.

    Args:
        look_for_sockets: Called with the pid of a server that should have a socket again.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        signaller: Signaller,
        policy: Callable[[], Policy],
        later: Later,
        look_for_sockets: Callable[[int], None],
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._signaller = signaller
        self._policy = policy
        self._later = later
        self._look_for_sockets = look_for_sockets
        self._asked: dict[ProcessId, float] = {}
        """When (monotonic seconds) each was asked last."""
        bus.subscribe(FileChanged, self.changed)
        bus.subscribe(SessionOpened, self.opened)
        for kind in (EventsLost, LookDue, Woke, WentOn):
            bus.subscribe(kind, lambda _: self.look())

    def opened(self, event: SessionOpened) -> None:
        """A new server makes the directory again that others may have lost."""
        if event.session.kind is Kind.TMUX:
            self.look()

    def changed(self, event: FileChanged) -> None:
        """Something came or went where sockets are: was it one of ours?"""
        for record in list(self._ledger.sessions()):
            if any(event.path in {mark.path, os.path.dirname(mark.path)} for mark in record.session.belongings.sockets):
                self._look_at(record)

    def look(self) -> None:
        """Look at every server."""
        for record in list(self._ledger.sessions()):
            self._look_at(record)

    def _look_at(self, record: Record | None) -> None:
        if record is None or record.death is not None:
            return
        sockets = record.session.belongings.sockets
        if sockets and all(os.path.lexists(mark.path) for mark in sockets):
            return
        for server in self._servers(record):
            self._heal(server)

    def _servers(self, record: Record) -> Iterable[ProcessId]:
        """Those of a session: itself, or what an Overmind has started for itself."""
        if record.session.kind is Kind.TMUX:
            return [record.session.root]
        return [server for server, key in self._ledger.manager_servers.items() if key == record.session.key]

    def _heal(self, server: ProcessId) -> None:
        now = time.monotonic()
        if now - self._asked.get(server, -_REST) < _REST or not self._policy().acts:
            return
        action = reopening(server)
        if action is None:
            return
        self._asked = {who: at for who, at in self._asked.items() if now - at < _REST} | {server: now}
        if isinstance(action, Outcome):
            self._bus.publish(ServerReopened(server, ("its socket is not where it made it",), action))
            return
        outcome = self._signaller.reopen(action)
        self._later(_BOUND_AGAIN, self._asked_it, action, outcome)
        self._later(_REST, self._look_again, server)

    def _asked_it(self, action: Reopen, outcome: Outcome) -> None:
        self._look_for_sockets(action.server.pid)
        self._bus.publish(ServerReopened(action.server, action.evidence, outcome))

    def _look_again(self, server: ProcessId) -> None:
        session = self._ledger.rooted_at(server.pid)
        if session is not None and session.root == server:
            self._look_at(self._ledger.record(session.key))
