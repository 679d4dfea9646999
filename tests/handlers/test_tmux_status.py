"""What `#{@sentinel_status}` says."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace

import pytest

from sentinel.core.actions import Outcome, Result
from sentinel.core.events import CleanedUp
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.sessions import Kind
from sentinel.handlers.tmux_status import TmuxStatus
from sentinel.integrations.tmux import STATUS
from sentinel.observe import processes, sockets

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def server(room, tmux):
    tmux("new-session", "-d", "-s", "work", "sleep 600")
    pid = next(pid for pid in processes.everyone() if processes.comm(pid) == TMUX_SERVER)
    return room.open(pid, Kind.TMUX, "default")


@pytest.fixture
def status(room, where):
    return TmuxStatus(room.bus, where, lambda: room.policy)


@pytest.fixture
def shown(status, server, tmux):
    """What is shown after a visit."""

    def shown():
        (socket,) = sockets.listening_sockets_of(server.root.pid)
        assert asyncio.run(status(server, socket)) is None
        return tmux("show-options", "-gqv", STATUS)

    return shown


def test_it_says_how_sentinel_is_and_what_was_done_last(room, shown, where, server):
    where.tmux_hooks.write_text("")
    assert shown() == "watching"
    outcomes = (Outcome("1@1", Result.ENDED), Outcome("2@1", Result.KILLED), Outcome("3@1", Result.REFUSED))
    room.bus.publish(CleanedUp(server, outcomes, 0.1))
    assert shown().startswith("watching, ended 2 processes at ")
    room.bus.publish(CleanedUp(server, (Outcome("/run/x", Result.REMOVED),), 0.1))
    assert "ended 2" in shown()
    room.policy = replace(room.policy, held="it is paused")
    assert shown().startswith("ending nothing, ended 2")


def test_it_is_set_only_when_it_says_something_else(shown, where, tmux):
    where.tmux_hooks.write_text("")
    shown()
    tmux("set-option", "-g", STATUS, "mine")
    assert shown() == "mine"


def test_nobody_who_did_not_ask_is_shown_anything(shown):
    assert shown() == ""


def test_at_the_end_it_says_nothing(shown, status, where, tmux):
    where.tmux_hooks.write_text("")
    shown()
    asyncio.run(status.close())
    assert tmux("show-options", "-gqv", STATUS) == ""
