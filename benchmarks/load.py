"""What the agent costs while a machine forks as if there were no tomorrow."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator

from benchmarks import gauges
from benchmarks.lab import Agent, Lab, dismiss, first_line
from benchmarks.table import Figure

RATE = 1000
"""Forks a second."""
_KEEP = 250
"""In a watched session every so many-th child stays, and must be ended with its session."""
_GOAL = 5.0
"""Percent of a core."""
_PATIENCE = 10_000
"""Milliseconds for what stayed to be ended."""


def load(lab: Lab, seconds: int) -> Iterator[Figure]:
    """Fork and exec, outside of every session and inside of one; the first for twice as long."""
    forker, stormy = lab.actor("forker"), lab.actor("stormy/claude")
    nothing = [lab.actor("nothing")]
    yield from _storm(lab, "fork + exit, in no session", [forker, str(RATE), str(2 * seconds), "0"])
    yield from _storm(lab, "fork + exec + exit, in no session", [forker, str(RATE), str(seconds), "0", *nothing])
    yield from _storm(lab, "fork + exit, in a session", [stormy, str(RATE), str(seconds), str(_KEEP)])
    yield from _storm(lab, "fork + exec + exit, in a session", [stormy, str(RATE), str(seconds), str(_KEEP), *nothing])


def _storm(lab: Lab, what: str, argv: list[str]) -> Iterator[Figure]:
    with lab.agent() as agent:
        time.sleep(0.5)
        before, began = gauges.cpu(agent.pid), time.monotonic()
        forker = lab.start(argv)
        try:
            births, took, *stayed = map(int, first_line(forker).split())
            share = 100 * (gauges.cpu(agent.pid) - before) / (time.monotonic() - began)
            missed = _end(forker.pid, stayed) if stayed else 0
        finally:
            dismiss(forker)
        rate = births * 1e9 / took
        yield Figure(
            f"{rate:,.0f} forks/s, {what}: CPU of a core", f"{share:.1f} %", goal=f"< {_GOAL:.0f} %", met=share < _GOAL
        )
        yield _account(agent, what, len(stayed), missed)


def _account(agent: Agent, what: str, stayed: int, missed: int) -> Figure:
    """Whether anything was lost unnoticed: lost notices that were told are no fault."""
    told = agent.count("source.lost")
    of = f" of {stayed} that stayed" if stayed else ""
    return Figure(
        f"  {what}: missed{of}; lost notices told", f"{missed}; {told}", goal="0 missed", met=missed == 0, grave=True
    )


def _end(root: int, stayed: list[int]) -> int:
    """Kill the root of the session, which has not been reaped; returns how many outlive it."""
    handles = [os.pidfd_open(pid) for pid in stayed]
    os.kill(root, signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE / 1000
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    left = set(handles)
    while left and (patience := deadline - time.monotonic()) > 0:
        for handle, _ in poll.poll(patience * 1000):
            poll.unregister(handle)
            left.discard(handle)
    for handle in handles:
        if handle in left:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        os.close(handle)
    return len(left)
