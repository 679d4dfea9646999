"""`sentinel hooks install tmux`: on all servers of the user, and on none of anybody else's."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from sentinel import paths
from sentinel.core.facts import Unknown
from sentinel.errors import SentinelError
from sentinel.integrations import tmux, tmux_everywhere
from sentinel.integrations.plan import Host
from sentinel.integrations.tmux_everywhere import integration
from tests.handlers.room import end_everything
from tests.lab.tmuxes import Server

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setenv("SENTINEL_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(tmux_everywhere, "_DEADLINE", 20.0)  # for machines that have much else to do
    return Host(tmp_path, paths.find().state, os.environ)


@pytest.fixture
def start(tmp_path):
    """Start a server on a socket of this name. It ends with the namespace."""
    if not (found := shutil.which("tmux")):
        pytest.skip("missing: tmux")
    yield lambda name: Server(found, tmp_path / name)
    end_everything()


def hooks(server):
    return server("show-hooks", "-g").stdout.count(f"[{tmux.INDEX}]")


def test_they_are_set_on_every_server_and_taken_off_every_one(host, start):
    servers = [start("one"), start("two")]
    before = [server("show-hooks", "-g").stdout for server in servers]
    assert not integration.status(host).installed
    change = integration.install(host, ())
    assert "2 servers" in "\n".join(change.lines)
    assert change.brief[1].startswith(f"set {len(tmux.HOOKS)} hooks on 2 servers")
    assert [hooks(server) for server in servers] == [0, 0]  # nothing before it is made
    change.make()
    assert integration.status(host).trusted
    assert integration.install(host, ()) is None
    assert tmux.wanted(paths.find())
    assert all(hooks(server) >= 4 for server in servers)
    integration.uninstall(host).make()
    assert [server("show-hooks", "-g").stdout for server in servers] == before
    assert not tmux.wanted(paths.find())
    assert integration.uninstall(host) is None


def test_what_is_lacking_is_said_and_set(host, start):
    server = start("one")
    integration.install(host, ()).make()
    server("set-hook", "-g", "session-closed", "display-message x")
    standing = integration.status(host)
    assert (standing.trusted, standing.why) == (False, f"{server.path} lacks 1 hook")
    integration.install(host, ()).make()
    assert integration.status(host).trusted


def test_they_are_wanted_also_where_no_server_runs(host):
    integration.install(host, ()).make()
    assert paths.find().tmux_hooks.read_text() == tmux.lines(paths.find())
    assert integration.status(host).installed
    assert "none runs" in "\n".join(integration.uninstall(host).lines)


def test_an_overminds_own_server_is_left_alone(host, start):
    Path(host.home, "tmux-7").mkdir(mode=0o700)
    server = start(f"tmux-7/overmind-shop-{'x' * 21}")
    change = integration.install(host, ())
    assert "none runs" in "\n".join(change.lines)
    change.make()
    assert hooks(server) == 0


def test_who_cannot_see_the_processes_says_so_and_changes_nothing(host, monkeypatch):
    monkeypatch.setattr(tmux_everywhere, "servers", lambda: Unknown("which processes there are", "no answer"))
    with pytest.raises(SentinelError, match="no answer"):
        integration.install(host, ())
    assert not tmux.wanted(paths.find())


def test_a_server_that_is_silent_is_named_when_they_are_taken_back(host, start, monkeypatch):
    server = start("one")
    integration.install(host, ()).make()
    monkeypatch.setattr(tmux_everywhere, "_DEADLINE", 0.2)
    server.send(signal.SIGSTOP)
    change = integration.uninstall(host)
    with pytest.raises(SentinelError, match="did not answer"):
        change.make()
    server.send(signal.SIGCONT)
    assert not tmux.wanted(paths.find())
