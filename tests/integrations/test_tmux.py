"""tmux's hooks, set and taken back on real servers of all versions that there are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import pytest

from sentinel.core.facts import Unknown
from sentinel.integrations import tmux
from sentinel.paths import Paths
from tests.lab.tmuxes import VERSIONS, Server, program

HANG = 20.0

PLUGIN = Path(__file__).parents[2] / "sentinel.tmux"
THEIRS = """
set-hook -g session-closed 'display-message closed'
set-hook -g session-created[3] { display-message created }
set-hook -ga session-created 'run-shell -b "true #{pid}"'
set-hook -g pane-exited[9000] 'display-message 1'
set -g @sentinel_other 'x'
"""
"""Hooks of a user, in each of the forms that there are."""


@pytest.fixture
def place():
    path = os.path.realpath(tempfile.mkdtemp(prefix="sentinel-"))
    yield Path(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def where(place):
    """A runtime directory that only a very odd person would have."""
    runtime = place / "a 'b\" #{pid} $HOME #(id) %H;"
    runtime.mkdir()
    return Paths(place / "config", place / "state", runtime)


@pytest.fixture(params=VERSIONS)
def server(request, place):
    it = Server(program(request.param), place / "s")
    yield it
    it.end()


@pytest.fixture
def agent(where):
    """Stands in for the agent: its inbox is there."""
    with socket.socket(socket.AF_UNIX) as inbox:
        with contextlib.chdir(where.runtime):  # the whole path may be too long for a socket's
            inbox.bind(where.inbox.name)
        yield inbox


def ask(question):
    return asyncio.run(question)


def installed(server, where):
    assert ask(tmux.install(server.mark(), where, HANG, server.program)) is None


def missing(server):
    return ask(tmux.missing(server.mark(), HANG, server.program))


def shown(server):
    """All that a person can see of options and hooks."""
    scopes = [("show-hooks", "-g"), ("show-options", "-g"), ("show-options", "-gw"), ("show-options", "-s")]
    return [server(*words).stdout for words in scopes]


def hints(where, server, *wanted):
    """Wait for these hints, and return all of that server."""
    deadline = time.monotonic() + HANG
    while True:
        lines = where.hints.read_text().splitlines() if where.hints.exists() else []
        assert all(line.endswith(f" {server.pid}") for line in lines)
        words = [line.split()[0] for line in lines]
        if set(wanted) <= set(words):
            return words
        assert time.monotonic() < deadline, (wanted, words)
        # A tmux with libutempter (3.1c, 3.3a) loses the death of a pane; this is how the agent heals it.
        os.kill(server.pid, signal.SIGCHLD)
        time.sleep(0.01)


def test_each_hook_writes_one_line_and_is_set_once_however_often_it_is_set(server, where, agent):
    for _ in range(3):
        installed(server, where)
    assert missing(server) == ()
    acts = {
        "session-created": ["new-session", "-d", "-s", "second", "sleep 1000"],
        "session-renamed": ["rename-session", "-t", "second", "renamed"],
        "session-closed": ["kill-session", "-t", "renamed"],
        "pane-exited": ["new-window", "-d", "true"],
        "pane-died": ["set-option", "-g", "remain-on-exit", "on", ";", "new-window", "-d", "true"],
    }
    for hook, words in acts.items():
        server(*words)
        assert hints(where, server, hook).count(hook) == 1
        assert missing(server) == ()  # a look: the next one hints again


def test_until_somebody_has_looked_one_hint_is_all(server, where, agent):
    installed(server, where)
    for number in range(20):
        server("new-session", "-d", "-s", f"s{number}", "sleep 1000")
    hints(where, server, "session-created")
    server("kill-session", "-a", "-t", "first")
    server("run-shell", "sleep 0.2")
    assert [word for word in hints(where, server) if word != tmux.WIPED] == ["session-created"]
    missing(server)
    server("rename-session", "-t", "first", "last")
    hints(where, server, "session-renamed")


def test_the_hooks_of_the_user_stay_byte_for_byte(server, where, place):
    theirs = place / "tmux.conf"
    theirs.write_text(THEIRS)
    server("source-file", str(theirs))
    before = shown(server)
    installed(server, where)
    ask(tmux.show_status(server.mark(), "watching", HANG, server.program))
    assert shown(server) != before
    assert server("show-options", "-gqv", tmux.STATUS).stdout == "watching\n"
    ask(tmux.remove(server.mark(), HANG, server.program))
    assert shown(server) == before


def test_removing_what_was_never_set_changes_nothing(server):
    before = shown(server)
    ask(tmux.remove(server.mark(), HANG, server.program))
    assert shown(server) == before


def test_a_hook_that_the_user_sets_without_an_index_wipes_ours_and_that_is_told(server, where, agent):
    installed(server, where)
    server("set-hook", "-g", "session-closed", "display-message x")
    hints(where, server, tmux.WIPED)
    assert missing(server) == ("session-closed",)
    installed(server, where)
    assert missing(server) == ()
    assert "display-message x" in server("show-hooks", "-g").stdout


def test_the_lines_for_a_configuration_do_the_same(server, where, place, agent):
    file = place / "ours.conf"
    file.write_text(tmux.lines(where))
    for _ in range(10):
        server("source-file", str(file))
    assert missing(server) == ()
    server("new-session", "-d", "-s", "second", "sleep 1000")
    assert hints(where, server, "session-created").count("session-created") == 1
    missing(server)  # a look
    by_file = shown(server)
    installed(server, where)
    assert shown(server) == by_file


@pytest.mark.parametrize("said", [True, False])
def test_the_plugin_sets_them_where_the_user_has_said_so_and_does_nothing_elsewhere(where, place, said, monkeypatch):
    if not (found := shutil.which("tmux")):
        pytest.skip("missing: tmux")
    monkeypatch.setenv("SENTINEL_STATE_DIR", str(where.state))
    monkeypatch.setenv("HOME", str(place))
    if said:
        where.state.mkdir()
        where.tmux_hooks.write_text(tmux.lines(where))
    server = Server(found, place / "s")
    before = shown(server)
    for _ in range(3):
        # As the plugin manager does it: each *.tmux file in the root of the clone.
        done = server("run-shell", f"for each in {PLUGIN.parent}/*.tmux; do $each; done")
        assert (done.stdout, done.stderr) == ("", "")
    assert missing(server) == (() if said else tmux.HOOKS)
    assert (shown(server) == before) is not said
    server.end()


def test_nothing_is_written_or_shown_while_no_agent_is_there(server, where):
    installed(server, where)
    server("new-session", "-d", "-s", "second", "sleep 1000")
    server("run-shell", "true")  # what was started before has ended by then, or soon will have
    server("kill-session", "-t", "second")
    time.sleep(0.3)
    assert not where.hints.exists()
    assert server("display-message", "-p", "-t", "first", "#{pane_in_mode}").stdout == "0\n"


def test_nothing_is_shown_when_the_hint_cannot_be_written(server, where, agent):
    where.hints.mkdir()
    installed(server, where)
    server("new-session", "-d", "-s", "second", "sleep 1000")
    time.sleep(0.3)
    panes = server("list-panes", "-aF", "#{pane_in_mode}").stdout
    assert set(panes.split()) == {"0"}


def test_a_name_never_reaches_a_shell(server, where, agent, place):
    installed(server, where)
    evil = place / "evil"
    for number, text in enumerate([f"$(touch {evil})", f"`touch {evil}`", f"x\ntouch {evil}\n", f"';touch {evil};'"]):
        server("new-session", "-d", "-s", f"n{number}{text.replace('.', '')}", "sleep 1000", check=False)
    hints(where, server, "session-created")
    missing(server)  # a look: the next one hints again
    server("kill-session", "-a", "-t", "first")
    hints(where, server, "session-closed")
    assert not evil.exists()


def test_a_server_that_is_stopped_or_gone_is_unknown(server, where):
    mark = server.mark()
    server.send(signal.SIGSTOP)
    assert isinstance(ask(tmux.missing(mark, 0.2, server.program)), Unknown)
    assert isinstance(ask(tmux.install(mark, where, 0.2, server.program)), Unknown)
    server.send(signal.SIGCONT)
    server.send(signal.SIGKILL)
    deadline = time.monotonic() + HANG
    while not isinstance(ask(tmux.missing(mark, HANG, server.program)), Unknown):
        assert time.monotonic() < deadline
    assert "no server" in str(ask(tmux.install(mark, where, HANG, server.program)))


def test_the_hooks_are_wanted_while_the_file_is_there(tmp_path):
    where = Paths(tmp_path, tmp_path, tmp_path)
    assert not tmux.wanted(where)
    where.tmux_hooks.write_text("")
    assert tmux.wanted(where)
