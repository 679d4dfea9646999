"""Hooks that the user asked for, on servers that are visited."""

from __future__ import annotations

import asyncio
import sys

import pytest

from sentinel.core.events import SourceDegraded
from sentinel.core.facts import Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.sessions import Kind
from sentinel.handlers.tmux_hooks import TmuxHooks
from sentinel.integrations import tmux as integration
from sentinel.observe import processes, sockets

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def server(room, tmux):
    tmux("new-session", "-d", "-s", "work", "sleep 600")
    pid = next(pid for pid in processes.everyone() if processes.comm(pid) == TMUX_SERVER)
    return room.open(pid, Kind.TMUX, "default")


@pytest.fixture
def visit(room, server, where):
    hooks = TmuxHooks(room.bus, where)

    def visit(socket=None):
        (found,) = sockets.listening_sockets_of(server.root.pid)
        return asyncio.run(hooks(server, socket or found))

    return visit


def ours(tmux):
    return tmux("show-hooks", "-g").count(f"[{integration.INDEX}]")


def test_nobody_who_did_not_ask_for_them_gets_any(tmux, visit):
    assert visit() is None
    assert ours(tmux) == 0


def test_they_are_set_once_wanted_and_again_when_they_were_wiped(tmux, visit, where):
    where.tmux_hooks.write_text("")
    assert visit() is None
    there = ours(tmux)
    assert there >= 4  # those of panes are not shown by this version's `show-hooks -g`
    tmux("set-hook", "-g", "session-closed", "display-message x")
    assert ours(tmux) == there - 1
    assert visit() is None
    assert ours(tmux) == there
    assert "display-message x" in tmux("show-hooks", "-g")


def test_those_of_an_agent_before_with_another_place_are_replaced(tmux, visit, where):
    where.tmux_hooks.write_text("")
    tmux("set-hook", "-g", f"session-created[{integration.INDEX}]", "run-shell -b 'echo old'")
    visit()
    assert "echo old" not in tmux("show-hooks", "-g")


def test_while_all_are_there_nothing_is_set(tmux, visit, where):
    where.tmux_hooks.write_text("")
    visit()
    tmux("set-hook", "-g", f"session-created[{integration.INDEX}]", "run-shell -b true")
    visit()
    assert "run-shell -b true" in tmux("show-hooks", "-g")


def test_a_server_that_does_not_take_them_is_told_of_once(room, visit, where, tmp_path):
    where.tmux_hooks.write_text("")
    nowhere = sockets.SocketMark(str(tmp_path / "none"), 1, 1)
    assert isinstance(visit(nowhere), Unknown)
    assert isinstance(visit(nowhere), Unknown)
    assert [event.source for event in room.told(SourceDegraded)] == ["tmux hooks"]
