"""The sessions inside of a real tmux server, as they come, go and are called."""

from __future__ import annotations

import asyncio
import signal
import sys

import pytest

from sentinel.core.events import SessionDied, TmuxSessionClosed, TmuxSessionOpened, TmuxSessionRenamed
from sentinel.core.facts import Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.sessions import Kind, Session
from sentinel.handlers.tmux_sessions import TmuxSessions
from sentinel.observe import processes, sockets
from tests.handlers.room import killed

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def inside(room):
    return TmuxSessions(room.bus, room.ledger)


@pytest.fixture
def server(room, tmux, inside):
    tmux("new-session", "-d", "-s", "work", "sleep 600")
    pid = next(pid for pid in processes.everyone() if processes.comm(pid) == TMUX_SERVER)
    return room.open(pid, Kind.TMUX, "default")


@pytest.fixture
def look(inside, server):
    """One visit."""

    def look():
        (socket,) = sockets.listening_sockets_of(server.root.pid)
        return asyncio.run(inside(server, socket))

    return look


def told(room):
    """What was told of sessions since this was asked last."""
    kinds = (TmuxSessionOpened, TmuxSessionRenamed, TmuxSessionClosed)
    seen = [(type(event).__name__[11:], event.number, event.name) for event in room.events if isinstance(event, kinds)]
    room.events.clear()
    return seen


def test_sessions_are_told_of_once_each_as_they_come_are_renamed_and_go(room, tmux, look):
    assert look() is None
    assert told(room) == [("Opened", "$0", "work")]
    tmux("new-session", "-d", "-s", "play", "sleep 600")
    look()
    tmux("rename-session", "-t", "play", "fun\x1b[2J")
    look()
    look()
    tmux("kill-session", "-t", "$1")
    look()
    opened, renamed, closed = told(room)
    assert opened == ("Opened", "$1", "play")
    assert renamed[:2] == ("Renamed", "$1")
    assert closed[:2] == ("Closed", "$1")
    assert closed[2] == renamed[2]


def test_one_that_has_the_name_of_another_one_is_another_one(room, tmux, look):
    tmux("new-session", "-d", "-s", "play", "sleep 600")
    look()
    tmux("kill-session", "-t", "play")
    tmux("new-session", "-d", "-s", "play", "sleep 600")
    told(room)
    look()
    assert told(room) == [("Closed", "$1", "play"), ("Opened", "$2", "play")]


def test_with_its_server_each_session_is_closed_once(room, tmux, look, server):
    tmux("new-session", "-d", "-s", "play", "sleep 600")
    look()
    told(room)
    death = killed()
    room.ledger.record(server.key).death = death
    room.bus.publish(SessionDied(server, death))
    room.bus.publish(SessionDied(server, death))
    assert told(room) == [("Closed", "$0", "work"), ("Closed", "$1", "play")]
    look()  # an answer that came too late
    assert told(room) == []


def test_no_answer_closes_nothing(room, look, server, inside, monkeypatch):
    look()
    told(room)
    fd = room.handles.borrow(server.root)
    monkeypatch.setattr("sentinel.observe.tmux.list_panes.__defaults__", (0.2, "tmux"))
    signal.pidfd_send_signal(fd, signal.SIGSTOP)
    assert isinstance(look(), Unknown)
    assert told(room) == []
    assert inside.about(server) == {"tmux_sessions": ["work"]}


def test_panes_are_known_by_the_session_that_they_are_in(room, tmux, look, server, inside):
    tmux("new-session", "-d", "-s", "play\x1b[2J", "sleep 600")
    look()
    names = inside.about(server)["tmux_sessions"]
    assert names[0] == "work"
    assert "\x1b" not in names[1]
    pane = Session(Kind.PANE, "%1", server.root, outer=server.key)
    assert inside.about(pane) == {"tmux_session": names[1]}
    assert inside.about(Session(Kind.PANE, "%9", server.root, outer=server.key)) == {"tmux_session": ""}
    assert inside.about(Session(Kind.AGENT, "claude", server.root)) == {}


def test_one_is_found_by_its_name_with_those_panes_that_are_in_it(room, tmux, look, server, inside):
    tmux("new-session", "-d", "-s", "play", "sleep 600")
    pid = int(tmux("list-panes", "-t", "work", "-F", "#{pane_pid}"))
    pane = room.open(pid, Kind.PANE, "%0", outer=server.key)
    look()
    (found,) = inside.called("work")
    assert (found.server, found.number, [record.session for record in found.panes]) == (server, "$0", [pane])
    assert [one.panes for one in inside.called("play")] == [()]
    assert inside.called("nobody") == inside.called("$0") == []
    tmux("rename-session", "-t", "play", "fun\x1b[2J")
    look()
    assert [one.number for one in inside.called(inside.about(server)["tmux_sessions"][1])] == ["$1"]
