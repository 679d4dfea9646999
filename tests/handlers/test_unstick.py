"""tmux servers that lost a SIGCHLD, and those that did not."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time

import pytest

from sentinel.core.actions import Result
from sentinel.core.events import ProcessExited, ProcessForked, ServerUnstuck
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.sessions import Kind
from sentinel.handlers.unstick import UnstickServers
from sentinel.observe import processes
from sentinel.reaper.signals import Signaller
from tests.handlers.room import comes, dead, killed, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]

REAPS = "[signal.signal(17, lambda *_: [os.waitpid(-1, 1) for _ in range(1)]), 1][1]"
NAMED = "[__import__('ctypes').CDLL(None).prctl(15, b'tmux: server', 0, 0, 0), 1][1]"
LOST = "[signal.pthread_sigmask(signal.SIG_BLOCK, [17]), 1][1]"


def watch(room, us):
    calls = []
    UnstickServers(
        room.bus,
        room.ledger,
        Signaller(room.handles, room.journal, us),
        lambda delay, call, *arguments: calls.append((delay, call, arguments)),
    )
    room.keep_books()
    return calls


@pytest.fixture
def later(room):
    return watch(room, room.us)


@pytest.fixture
def server(room):
    """Stands in for a tmux server: reaps at SIGCHLD, and nothing else."""
    server = room.start()
    assert (server.do(NAMED), server.do(REAPS)) == (1, 1)
    return server


def lose_a_pane(room, server, *, reaped=False):
    """A child of the server ends; the server's SIGCHLD does not reach its handler."""
    pane = room.forked(server.pid, server.do("bear()"))
    if not reaped:
        server.do("[signal.signal(17, signal.SIG_DFL), 1][1]")
    os.kill(pane, signal.SIGKILL)
    until(lambda: processes.identify(pane) != room.ledger.member(pane).id if reaped else dead(pane))
    server.do(REAPS)
    room.bus.publish(ProcessExited(pane, killed()))
    return pane


def test_a_server_that_lost_the_signal_is_sent_it_and_reaps(room, later, server):
    room.open(server.pid, Kind.TMUX, "default")
    pane = lose_a_pane(room, server)
    assert processes.above(pane).dead
    _, call, arguments = later.pop(0)
    call(*arguments)
    until(lambda: not os.path.exists(f"/proc/{pane}"))
    comes(later)
    (event,) = room.told(ServerUnstuck)
    assert event.server == server.who
    assert f"its pane process {pane} has been dead and unreaped for 0.15 s" in event.evidence
    assert server.poll() is None


def test_mercy_a_server_that_sentinel_runs_under_is_not_signalled_and_that_is_told_once(room, server):
    later = watch(room, dataclasses.replace(room.us, ancestors=frozenset({server.pid})))
    room.open(server.pid, Kind.TMUX, "default")
    pane = lose_a_pane(room, server)
    comes(later)
    (event,) = room.told(ServerUnstuck)
    assert event.outcome.result is Result.REFUSED
    assert f"its pane process {pane} has been dead and unreaped for 2 s" in event.evidence
    assert processes.above(pane).dead


def test_a_server_that_reaps_is_left_in_peace(room, later, server):
    room.open(server.pid, Kind.TMUX, "default")
    lose_a_pane(room, server, reaped=True)
    comes(later)
    assert room.told(ServerUnstuck) == []


def test_a_pane_that_lives_after_all_is_no_reason(room, later, server):
    room.open(server.pid, Kind.TMUX, "default")
    pane = room.forked(server.pid, server.do("bear()"))
    room.bus.publish(ProcessExited(pane, killed()))
    assert later
    comes(later)
    assert room.told(ServerUnstuck) == []


def test_an_overminds_own_server_is_healed_too(room, later, server):
    manager = room.start()
    room.open(manager.pid, Kind.OVERMIND, "shop")
    room.bus.publish(ProcessForked(manager.pid, server.pid, time.monotonic()))  # really it is the older one
    room.ledger.manages(room.ledger.member(server.pid))
    lose_a_pane(room, server)
    comes(later[:1])
    assert len(room.told(ServerUnstuck)) == 1


def test_an_agent_that_does_not_reap_is_not_signalled(room, later, server):
    room.open(server.pid, Kind.AGENT, "claude")
    pane = lose_a_pane(room, server)
    assert later == []
    assert processes.above(pane).dead


def test_what_does_not_call_itself_a_tmux_server_any_more_is_not_signalled(room, later, server):
    room.open(server.pid, Kind.TMUX, "default")
    pane = lose_a_pane(room, server)
    server.do("[__import__('ctypes').CDLL(None).prctl(15, b'bash', 0, 0, 0), 1][1]")
    comes(later)
    assert room.told(ServerUnstuck) == []
    assert processes.above(pane).dead


def test_a_server_that_is_gone_by_then_is_not_told_of(room, later, server):
    room.open(server.pid, Kind.TMUX, "default")
    lose_a_pane(room, server)
    server.end()
    comes(later)
    assert room.told(ServerUnstuck) == []


def test_a_process_of_nobody_means_nothing(room, later):
    room.bus.publish(ProcessExited(os.getpid(), killed()))
    assert later == []


def test_a_real_server_that_lost_the_signal_is_healed(room, later, tmux):
    """What tmux with libutempter does when several panes end at once."""
    tmux("new-session", "-d", "-s", "keep", "sleep 600")
    server = next(pid for pid in processes.everyone() if processes.comm(pid) == TMUX_SERVER)
    room.open(server, Kind.TMUX, "default")
    tmux("set-option", "-g", "remain-on-exit", "on")
    for _ in range(10):
        first = set(tmux("list-panes", "-aF", "#{pane_pid}").split())
        for _ in range(4):
            tmux("new-window", "-d", "-t", "keep:", "exec sleep 700")
        panes = [int(pid) for pid in set(tmux("list-panes", "-aF", "#{pane_pid}").split()) - first]
        until(lambda panes=panes: all(processes.comm(pane) == "sleep" for pane in panes))
        for pane in panes:
            room.forked(server, pane)
        for pane in panes:
            os.kill(pane, signal.SIGTERM)
        if lost := _unreaped(panes):
            break
        tmux("kill-window", "-a", "-t", "keep:0")
    else:
        pytest.skip("missing: a tmux that loses SIGCHLD")
    for pane in lost:
        room.bus.publish(ProcessExited(pane, killed(signal.SIGTERM)))
    _, call, arguments = later.pop(0)
    call(*arguments)
    until(lambda: not any(os.path.exists(f"/proc/{pane}") for pane in lost))
    assert room.told(ServerUnstuck)[0].server.pid == server


def _unreaped(panes):
    """Those that are still there long after a server would have reaped them."""
    until(lambda: all(dead(pane) for pane in panes))
    enough = time.monotonic() + 2.0
    while (left := [pane for pane in panes if os.path.exists(f"/proc/{pane}")]) and time.monotonic() < enough:
        time.sleep(0.02)
    return left
