"""Servers whose socket was taken away, and those that must not be signalled."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from dataclasses import replace

import pytest

from sentinel.core.actions import Result
from sentinel.core.events import FOUND, FileChanged, LookDue, ProcessForked, ServerReopened, SessionOpened, WentOn
from sentinel.core.facts import Death
from sentinel.core.sessions import Belongings, Kind, SocketMark
from sentinel.handlers import reopen
from sentinel.handlers.reopen import ReopenServers
from sentinel.reaper.signals import Signaller
from tests.handlers.room import until
from tests.lab.tmuxes import Server

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def calls(room):
    """What is to be done later; who is to be looked at for sockets is in ``room.looked_at``."""
    calls, room.looked_at = [], []
    ReopenServers(
        room.bus,
        ledger=room.ledger,
        signaller=Signaller(room.handles, room.journal, room.us),
        policy=room.wishes,
        later=lambda delay, call, *words: calls.append((delay, call, words)),
        look_for_sockets=room.looked_at.append,
    )
    return calls


@pytest.fixture
def socket(tmp_path):
    (tmp_path / "t").mkdir(mode=0o700)
    return str(tmp_path / "t" / "s")


@pytest.fixture
def tmux(socket):
    """A real server. It ends with the namespace."""
    if not (found := shutil.which("tmux")):
        pytest.skip("missing: tmux")
    return Server(found, socket)


@pytest.fixture
def server(room, calls, tmux, socket):
    return room.open(tmux.pid, Kind.TMUX, "default", belongings=Belongings((SocketMark(socket),)))


def pass_time(calls, by):
    """Let everything happen that is due within so many seconds."""
    for call in [call for call in calls if call[0] <= by]:
        calls.remove(call)
        call[1](*call[2])


def intents(room):
    return (room.where.journal).read_text().count('"action":"reopen"')


def test_a_server_that_lost_its_socket_makes_it_again_and_that_is_recorded(room, calls, server, socket, tmux):
    os.unlink(socket)
    room.bus.publish(FileChanged(socket))
    until(lambda: os.path.exists(socket), "the socket")
    pass_time(calls, 1.0)
    (event,) = room.told(ServerReopened)
    assert (event.server, event.outcome.result) == (server.root, Result.CURED)
    assert socket in event.evidence[0]
    assert room.looked_at == [server.root.pid]
    assert tmux("list-sessions", "-F", "#{session_name}").stdout == "first\n"
    assert intents(room) == 1


@pytest.mark.parametrize("event", [LookDue("it is time"), WentOn("it was paused")])
def test_whenever_everything_is_looked_at_servers_are_too(room, server, socket, event):
    os.unlink(socket)
    room.bus.publish(event)
    until(lambda: os.path.exists(socket), "the socket")


def test_one_that_was_found_without_its_socket_is_helped_too(room, server, socket):
    room.ledger.amend(replace(server, belongings=Belongings()))
    os.unlink(socket)
    room.bus.publish(SessionOpened(server, FOUND))
    until(lambda: os.path.exists(socket), "the socket")


def test_whoever_takes_it_away_again_and_again_wins(room, calls, server, socket):
    os.unlink(socket)
    room.bus.publish(FileChanged(socket))
    until(lambda: os.path.exists(socket), "the socket")
    os.unlink(socket)
    for _ in range(20):
        room.bus.publish(FileChanged(socket))
    assert intents(room) == 1
    time.sleep(0.1)
    assert not os.path.exists(socket)


def test_it_is_looked_at_once_more_when_that_rest_is_over(room, calls, server, socket, monkeypatch):
    os.unlink(socket)
    room.bus.publish(FileChanged(socket))
    until(lambda: os.path.exists(socket), "the socket")
    os.unlink(socket)
    monkeypatch.setattr(reopen, "_REST", 0.0)
    pass_time(calls, 10.0)
    until(lambda: os.path.exists(socket), "the socket")


@pytest.mark.parametrize("spared", ["it has its socket", "paused", "dead", "no directory"])
def test_the_others_are_left_in_peace(room, server, socket, spared):
    """Each is the first case but for one thing."""
    os.unlink(socket)
    match spared:
        case "it has its socket":
            signal.pidfd_send_signal(room.handles.borrow(server.root), signal.SIGUSR1)
            until(lambda: os.path.exists(socket), "the socket")
        case "paused":
            room.policy = replace(room.policy, held="it is paused")
        case "dead":
            room.ledger.record(server.key).death = Death(0.0, 9)
        case "no directory":
            os.rmdir(os.path.dirname(socket))
    room.bus.publish(FileChanged(socket))
    assert room.looked_at == []
    assert intents(room) == 0
    refused = [event.outcome.reason for event in room.told(ServerReopened)]
    assert len(refused) == (spared == "no directory")


def test_what_is_not_prepared_for_the_signal_is_not_sent_it(room, calls):
    """It would end of it."""
    puppet = room.start()
    named = "[__import__('ctypes').CDLL(None).prctl(15, b'tmux: server', 0, 0, 0), 1][1]"
    path = f"{room.where.state}/puppet.sock"
    listening = f"[globals().update(s=__import__('socket').socket(1)), s.bind({path!r}), s.listen(), 1][-1]"
    assert (puppet.do(named), puppet.do(listening)) == (1, 1)
    room.open(puppet.pid, Kind.TMUX, "odd", belongings=Belongings((SocketMark(path),)))
    os.unlink(path)
    room.bus.publish(FileChanged(path))
    (event,) = room.told(ServerReopened)
    assert "not be prepared" in event.outcome.reason
    assert puppet.poll() is None


def test_an_overminds_own_server_is_helped_too(room, calls, tmux, socket):
    manager = room.start()
    room.keep_books()
    room.open(manager.pid, Kind.OVERMIND, "shop", belongings=Belongings((SocketMark(socket),)))
    room.bus.publish(ProcessForked(manager.pid, tmux.pid, time.monotonic()))  # really it is the older one
    room.ledger.manages(room.ledger.member(tmux.pid))
    os.unlink(socket)
    room.bus.publish(FileChanged(socket))
    until(lambda: os.path.exists(socket), "the socket")
