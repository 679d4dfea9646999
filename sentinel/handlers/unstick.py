"""Heals tmux servers that lost a SIGCHLD.

tmux with libutempter (Debian's 3.1c and 3.3a) puts SIGCHLD to its default for 3 ms whenever
a pane's terminal closes. A pane that ends in that time is never reaped: it stays a zombie,
and an Overmind that waits for it hangs for ever. SIGCHLD sent by hand makes the server reap
it. See tmux issues 311, 2679 and 4559.
"""

from __future__ import annotations

from sentinel.bus import Bus
from sentinel.core.actions import Result, Unstick
from sentinel.core.events import ProcessExited, ServerUnstuck
from sentinel.core.facts import Above, ProcessFacts, ProcessId
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Kind
from sentinel.handlers.later import Later
from sentinel.observe import processes
from sentinel.reaper.signals import Signaller

_PATIENCE = (0.15, 0.5, 2.0)
"""Seconds after a pane's end at which it is looked at: a server that did not lose the signal
reaps within milliseconds."""


class UnstickServers:
    """Watches that tmux servers reap the panes that end."""

    def __init__(self, bus: Bus, ledger: Ledger, signaller: Signaller, later: Later) -> None:
        self._bus = bus
        self._ledger = ledger
        self._signaller = signaller
        self._later = later
        bus.subscribe(ProcessExited, self.exited)

    def exited(self, event: ProcessExited) -> None:
        """A child of a tmux server has ended: look whether it gets reaped."""
        member = self._ledger.member(event.pid)
        if member is None:
            return
        server = self._ledger.member(member.parent)
        if server is None or not (server.manager_server or self._is_tmux(server.id.pid)):
            return
        for delay in _PATIENCE:
            self._later(delay, self._look, member.id, server.id, delay)

    def _is_tmux(self, pid: int) -> bool:
        session = self._ledger.rooted_at(pid)
        return session is not None and session.kind is Kind.TMUX

    def _look(self, pane: ProcessId, server: ProcessId, waited: float) -> None:
        left = processes.above(pane.pid)
        if not isinstance(left, Above) or left.id != pane or not left.dead or left.parent != server.pid:
            return
        facts = processes.look(server.pid)
        if not isinstance(facts, ProcessFacts) or facts.id != server or facts.name != TMUX_SERVER:
            return
        evidence = (
            f"its pane process {pane.pid} has been dead and unreaped for {waited:g} s",
            "SIGCHLD makes a tmux server reap, and does nothing else",
        )
        outcome = self._signaller.unstick(Unstick(server, evidence))
        if outcome.result is Result.REFUSED and waited < _PATIENCE[-1]:
            return  # a server that the agent itself runs under, most times: that it was not healed is told once
        if outcome.result is not Result.GONE:
            self._bus.publish(ServerUnstuck(server, evidence, outcome))
