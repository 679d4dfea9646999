"""Has what stands over a project end by itself, and waits for it no longer than it may take.

Overmind is asked through its socket, as ``overmind quit`` asks it; no program is run that
may hang. One that nobody can reach gets SIGTERM, which it takes for the same.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable

from sentinel.core.actions import Outcome, Result, Terminate, Unstick
from sentinel.core.facts import Above, ProcessId, Unknown
from sentinel.core.verdicts import Absent, Condemned, ProcessVerdict, Spared
from sentinel.environments.ending import Ending
from sentinel.environments.scene import OVERMIND, Manager
from sentinel.observe import processes, sockets
from sentinel.observe.handles import Handles
from sentinel.reaper.signals import Signaller
from sentinel.reaper.staleness import Glimpse

_LOOK_EVERY = 0.02
_ANSWER = 1.0
"""Seconds that a connection to Overmind may take: a stopped one never answers."""
_UNREAPED = 0.2
"""Seconds after which a pane's end counts as one that its tmux server has missed: it reaps within milliseconds."""


async def quit_manager(ending: Ending, manager: Manager, servers: Iterable[ProcessId], patience: float) -> str:
    """Ask a manager to end, and wait. Says what came of it: a predicate.

    Args:
        ending: Judges whether it may be asked, and has the hand.
        manager: Who is asked.
        servers: Its tmux servers: those that missed the end of a pane are healed, or it waits for ever.
        patience: Seconds.
    """
    who, core, looked = manager.facts.id, ending.core, Glimpse()
    match ending.judge()[who]:
        case Absent():
            return "has ended by itself"
        case Spared(reason=reason):
            return f"is left alone: {reason}"
        case _ if why := ending.forbidden():
            return f"is left alone: {why}"
        case Condemned() as verdict:
            began = time.monotonic()
            by_socket = manager.kind == OVERMIND and manager.socket
            refused = _ask_to_quit(manager, core.handles) if by_socket else await _terminate(ending, verdict, looked)
    if refused:
        return f"could not be asked to quit: {refused}"
    unreaped: dict[ProcessId, float] = {}
    while core.handles.ended(who) is not True:
        if time.monotonic() > began + patience:
            return f"was asked to quit, and has not ended within {patience:g} s"
        _heal(core.signaller, servers, unreaped)
        await asyncio.sleep(_LOOK_EVERY)
    took = time.monotonic() - began
    if not by_socket:  # a signal was announced: unless its outcome is told, the next agent takes it for abandoned
        ending.tell(ending.session, (Outcome(str(who), Result.ENDED, name=manager.facts.name),), took)
    return f"was asked to quit, and ended after {took:.1f} s"


def _ask_to_quit(manager: Manager, handles: Handles) -> str:
    """Send Overmind the word. Why not, if that was not possible."""
    try:
        with socket.socket(socket.AF_UNIX) as line, sockets.address_of(manager.socket) as address:
            line.settimeout(_ANSWER)
            line.connect(address)
            if not _listens(manager, handles):
                return "another one listens there by now"
            line.sendall(b"quit\n")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _listens(manager: Manager, handles: Handles) -> bool:
    """Whether it is the manager that listens at its path: asked when there is a line, which cannot change hands.

    The kernel's word on the peer (SO_PEERCRED) is of whoever called listen(2): what went into the background
    may have had that done before.
    """
    marks = sockets.listening_sockets_of(manager.facts.id.pid)
    there = isinstance(marks, list) and any(mark.path == manager.socket for mark in marks)
    return there and handles.ended(manager.facts.id) is False


async def _terminate(ending: Ending, verdict: Condemned, looked: Glimpse) -> str:
    """SIGTERM to the manager alone; its end is awaited elsewhere. Why not, if that was not possible."""
    action = Terminate(ending.session, (verdict,), 0.0)
    strike = ending.core.signaller.strike(action, 0, looked)
    ending.core.signaller.ask_late(strike, ending.look_again())
    refused = strike.outcomes.get(verdict.id)
    await ending.core.signaller.finish(strike, lambda: _is_awaited)
    return refused.reason if refused is not None and refused.result is Result.REFUSED else ""


def _is_awaited(who: ProcessId) -> ProcessVerdict:
    return Spared(who, "held", "it is given time to end")


def _heal(signaller: Signaller, servers: Iterable[ProcessId], unreaped: dict[ProcessId, float]) -> None:
    """Have tmux servers reap the panes whose end they missed."""
    now = time.monotonic()
    for server in servers:
        children = processes.children(server.pid)
        for pid in () if isinstance(children, Unknown) else children:
            link = processes.above(pid)
            if isinstance(link, Above) and link.dead and now - unreaped.setdefault(link.id, now) > _UNREAPED:
                unreaped[link.id] = now
                evidence = (f"its pane process {pid} has been dead and unreaped for {_UNREAPED:g} s",)
                signaller.unstick(Unstick(server, evidence))
