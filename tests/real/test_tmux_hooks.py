"""What the agent does for tmux beyond watching its processes, with real servers, as a user of its own."""

from __future__ import annotations

import os
import signal
import time

import pytest

from sentinel.integrations.tmux import HOOKS, INDEX, STATUS
from tests.lab.stage import alive, until

pytestmark = [pytest.mark.real, pytest.mark.parametrize("source", ["connector"], indirect=True)]

HANG = 5.0
"""Seconds. What waits for a hook that blocks takes as long as the hook does, session by session."""


@pytest.fixture
def tmux(stage):
    """Run a client on the server of the test."""

    def tmux(*words, socket="s"):
        done = stage.run("tmux", "-S", stage.home / "sockets" / socket, "-f", "/dev/null", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (stage.home / "sockets").mkdir()
    (stage.home / "sockets").chmod(0o700)
    os.chown(stage.home / "sockets", stage.uid, stage.uid)
    return tmux


@pytest.fixture
def hooked(stage, tmux):
    """An agent, a server with the hooks, and its pid."""
    agent = stage.agent()
    assert stage.sentinel("hooks", "install", "tmux", "--yes").returncode == 0
    tmux("new-session", "-d", "-s", "work", "sleep 600")
    until(lambda: ours(tmux) == set(HOOKS), "the hooks")
    return agent, int(tmux("display-message", "-p", "#{pid}"))


def ours(tmux):
    """Which hooks of ours a server has."""
    flags = "".join(f"#{{?#{{{hook}[{INDEX}]}},{hook} ,}}" for hook in HOOKS)
    return set(tmux("list-sessions", "-F", flags).splitlines()[0].split())


def told(stage, kind):
    return sorted(record["data"]["name"] for record in stage.journal(kind))


def test_every_server_is_known_wherever_its_socket_is(stage):
    tmux = ["tmux", "-f", "/dev/null"]
    (stage.home / "elsewhere").mkdir()
    os.chown(stage.home / "elsewhere", stage.uid, stage.uid)
    stage.run(*tmux, "new-session", "-d", "sleep 600")
    stage.run(*tmux, "-L", "named", "new-session", "-d", "sleep 600")
    stage.run(*tmux, "-S", stage.home / "tmp" / "path.sock", "new-session", "-d", "sleep 600")
    stage.agent()
    stage.run(*tmux, "new-session", "-d", "sleep 600", TMUX_TMPDIR=stage.home / "elsewhere")
    names = ["default", "named", "path.sock"]
    for name in names:
        assert stage.watched(name)["session_kind"] == "tmux"
    sessions = until(lambda: len(opened := stage.journal("tmux.opened")) == 4 and opened, "their sessions")
    assert sorted(record["data"]["server"]["name"] for record in sessions) == ["default", *names]


def test_sessions_inside_are_told_of_as_they_come_and_go(stage, tmux, hooked):
    until(lambda: told(stage, "tmux.opened") == ["work"], "its session")
    tmux("rename-session", "-t", "work", "play")  # nothing but a hook tells of that
    until(lambda: told(stage, "tmux.renamed") == ["play"], "its new name")
    assert "tmux (play)" in until(lambda: (out := stage.sentinel("sessions").stdout) and "(play)" in out and out)
    tmux("new-session", "-d", "-s", "short", f"sh -c 'until test -e {stage.home}/go; do sleep 0.1; done; exit 3'")
    until(lambda: "short" in told(stage, "tmux.opened"), "its birth")
    stage.file("go")
    until(lambda: told(stage, "tmux.closed") == ["short"], "its end")
    assert tmux("list-clients") == ""  # who asks lets go: an attached client would change what the person sees
    died = until(lambda: stage.journal("session.died"), "the pane's death")
    assert [record["data"]["death"]["code"] for record in died] == [3]


def test_a_configuration_that_wipes_the_hooks_is_noticed_and_mended(stage, tmux, hooked):
    theirs = stage.file("tmux.conf", "\n".join(f"set-hook -g {hook} 'display-message x'" for hook in HOOKS))
    tmux("source-file", theirs)
    until(lambda: ours(tmux) != set(HOOKS) or tmux("show-hooks", "-g"), "the wiping")
    tmux("new-window", "-d", "sleep 600")  # the one that tells of it was wiped too
    until(lambda: ours(tmux) == set(HOOKS), "the mending")
    assert tmux("show-hooks", "-g").count("display-message x") >= 4
    tmux("set-hook", "-g", "session-closed", "display-message y")
    until(lambda: ours(tmux) == set(HOOKS), "the mending")
    assert stage.sentinel("hooks", "uninstall", "tmux", "--yes").returncode == 0
    assert ours(tmux) == set()
    assert tmux("show-hooks", "-g").count("display-message") >= 4


@pytest.mark.parametrize("agent", ["stopped", "gone"])
def test_killed_sessions_wait_for_nobody(stage, tmux, hooked, agent):
    """Scenario 21."""
    for number in range(20):
        tmux("new-session", "-d", "-s", f"s{number}", "sleep 600")
    panes = [int(pid) for pid in tmux("list-panes", "-aF", "#{pane_pid}").split()]
    until(lambda: len(told(stage, "tmux.opened")) == 21, "all of them being known")
    stage.kill(hooked[0].pid, signal.SIGSTOP if agent == "stopped" else signal.SIGTERM)
    if agent == "gone":
        until(lambda: hooked[0].poll() is not None, "its end")
    began = time.monotonic()
    tmux("kill-session", "-a", "-t", "work")
    until(lambda: sum(map(alive, panes)) == 1, "the end of the panes")
    assert tmux("list-sessions", "-F", "#{session_name}") == "work\n"
    assert time.monotonic() - began < HANG
    if agent == "stopped":
        stage.kill(hooked[0].pid, signal.SIGCONT)
        until(lambda: len(told(stage, "tmux.closed")) == 20, "all of it being told")


@pytest.mark.parametrize("end", ["SIGKILL", "kill-server"])
def test_what_no_hook_tells_is_known_once_each(stage, tmux, hooked, end):
    """Scenario 22: a server that is killed, or told to end, runs none of its hooks."""
    tmux("new-session", "-d", "-s", "play", "sleep 600")
    until(lambda: told(stage, "tmux.opened") == ["play", "work"], "its sessions")
    for pane in ("%0", "%1"):
        stage.watched(pane)  # it has no name until the server was asked
    if end == "SIGKILL":
        stage.kill(hooked[1])
    else:
        tmux("kill-server")
    until(lambda: len(stage.journal("session.closed")) == 3, "all of it being over")
    dead = sorted(record["data"]["session"]["name"] for record in stage.journal("session.died"))
    assert dead == ["%0", "%1", "s"]
    assert told(stage, "tmux.closed") == ["play", "work"]


def test_a_lost_socket_is_made_again_and_nothing_is_ended(stage, tmux, hooked):
    """Scenario 23."""
    socket = stage.home / "sockets" / "s"
    before = os.lstat(socket).st_ino
    socket.unlink()
    until(lambda: socket.exists() and os.lstat(socket).st_ino != before, "the socket")
    assert tmux("list-sessions", "-F", "#{session_name}") == "work\n"
    until(lambda: stage.journal("tmux.reopened"), "the word on it")
    assert stage.journal("session.died", "session.judged") == []


def test_a_server_whose_directory_is_closed_is_not_signalled(stage, tmux, hooked):
    """It could not bind there, and would have a wrong umask for all that it starts from then on."""
    socket = stage.home / "sockets" / "s"
    (stage.home / "sockets").chmod(0o500)
    socket.unlink()
    (record,) = until(lambda: stage.journal("tmux.reopened"), "the word on it")
    assert record["data"]["outcome"]["result"] == "refused"
    assert [intent for intent in stage.journal("action.intended") if intent["data"]["action"] == "reopen"] == []
    assert alive(hooked[1])


def test_the_status_line_says_that_somebody_watches_and_then_that_nobody_does(stage, tmux, hooked):
    until(lambda: tmux("show-options", "-gqv", STATUS) == "watching\n", "the status")
    stage.sentinel("pause")
    until(lambda: tmux("show-options", "-gqv", STATUS) == "ending nothing\n", "the pause")
    stage.kill(hooked[0].pid, signal.SIGTERM)
    until(lambda: tmux("show-options", "-gqv", STATUS) == "\n", "the farewell")


def test_servers_that_are_hurt_are_unknown_and_lose_nothing(stage, tmux, hooked):
    """A stopped server does not answer: that its sessions are gone, nobody has said."""
    until(lambda: told(stage, "tmux.opened") == ["work"], "its session")
    pane = stage.watched("%0")["pid"]
    stage.kill(hooked[1], signal.SIGSTOP)
    stage.kill(pane)
    until(lambda: stage.journal("session.died"), "the pane's death")
    time.sleep(1.5)
    assert told(stage, "tmux.closed") == []
    stage.kill(hooked[1], signal.SIGCONT)
    until(lambda: told(stage, "tmux.closed") == ["work"], "the word on its end")
