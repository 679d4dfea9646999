"""`sentinel sessions`: a table, or JSON."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from click.testing import CliRunner

from sentinel.cli import screen
from sentinel.cli.sessions import command
from sentinel.core.facts import Death, ProcessId
from sentinel.core.ledger import Member, Record, Witness
from sentinel.core.sessions import Kind, Session
from sentinel.errors import NotRunning
from sentinel.handlers.explanations import session_as_data
from tests.cli.standin import StandIn


@pytest.fixture
def shown(where, monkeypatch):
    """What the command shows when the agent answers with this."""
    monkeypatch.setenv("SENTINEL_RUNTIME_DIR", str(where.runtime))

    def shown(answer, *options):
        with contextlib.closing(StandIn(where.inbox, lambda _: answer)):
            done = CliRunner().invoke(command, options, catch_exceptions=False)
        where.inbox.unlink()
        assert done.exit_code == 0
        return done.stdout

    return shown


def data(name="claude", death=None, **more):
    session = Session(Kind.AGENT, name, ProcessId(4231, 7), born=time.time() - 7300, **more)
    return session_as_data(Record(session, {}, death))


def test_a_session_is_a_row(shown):
    head, row = shown([data(directory="/srv/shop")]).splitlines()
    assert head.split() == ["SESSION", "KIND", "PROCESSES", "AGE", "STATE", "DIRECTORY"]
    assert row.split() == ["claude-4231", "agent", "0", "2h", "alive", "/srv/shop"]
    assert head.index("DIRECTORY") == row.index("/srv/shop")


def test_a_dead_one_that_left_something_says_how_it_died_and_since_when(shown):
    out = shown([data(death=Death(time.monotonic() - 150, 9)), data()])
    assert "  dead 2m  killed by SIGKILL" in out
    assert out.endswith("What the dead left is shown, and ended when you say so, by: sentinel clean\n")
    assert "sentinel clean" not in shown([data()])


@pytest.mark.parametrize(
    ("kept", "state"),
    [((), "alive"), ((4231, 5, 6), "alive, kept"), ((5,), "alive, 1 kept"), ((5, 6), "alive, 2 kept")],
)
def test_a_session_of_which_a_part_is_kept_does_not_look_as_if_it_were_kept(shown, kept, state):
    session = Session(Kind.AGENT, "claude", ProcessId(4231, 7), born=time.time(), directory="/srv")
    pids = (4231, 5, 6)
    members = {pid: Member(ProcessId(pid, 7), session.key, 0, Witness.FORK, 0.0, kept=pid in kept) for pid in pids}
    assert f"  {state}  /srv" in shown([session_as_data(Record(session, members))])


def test_a_server_is_told_by_its_sessions_and_a_pane_by_the_one_that_it_is_in(shown):
    server = Session(Kind.TMUX, "default", ProcessId(8, 1))
    pane = Session(Kind.PANE, "%1", ProcessId(9, 1), outer=server.key)
    names = ["work", "play", "three", "four"]
    rows = shown(
        [
            {**session_as_data(Record(server)), "tmux_sessions": names},
            {**session_as_data(Record(pane)), "tmux_session": "work"},
        ]
    )
    assert "  tmux (work, play, three, ...)  " in rows
    assert "  pane of work (default)  " in rows


def test_a_pane_is_told_from_its_namesake_by_the_server(shown):
    def server(label, pid):
        return Session(Kind.TMUX, label, ProcessId(pid, 1))

    def kinds(*servers):
        panes = [Session(Kind.PANE, "%1", ProcessId(9, 1), outer=server.key) for server in servers]
        rows = shown([session_as_data(Record(session)) for session in (*servers, *panes)]).splitlines()[1:]
        return [row.split("  0  ")[0].partition(" ")[2].strip() for row in rows]

    assert kinds(server("default", 5), server("work", 6)) == ["tmux", "tmux", "pane of default", "pane of work"]
    assert kinds(server("default", 5), server("default", 6))[2:] == ["pane of default-5", "pane of default-6"]
    orphan = Session(Kind.PANE, "%1", ProcessId(9, 1), outer="gone-1@2")
    assert " pane  " in shown([session_as_data(Record(orphan))])


def test_on_a_terminal_every_row_is_one_line(shown, monkeypatch):
    monkeypatch.setattr(screen, "width", lambda **_: 80)
    directory = "/home/somebody/with/a/long/way/to/the/shop"
    out = shown([data(directory=directory), data("a-long-name-that-somebody-gave", Death(1.0, 1), directory=directory)])
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "…" in out
    assert out.splitlines()[1].endswith("/the/shop")
    usual = shown([data("shop-api", Death(1.0, 1), directory=directory)])
    assert "killed by SIGHUP" in usual
    assert max(map(len, usual.splitlines())) == 80


def test_no_session_is_a_sentence_and_an_empty_array(shown):
    assert shown([]) == "No session is watched now.\n"
    assert json.loads(shown([], "--json")) == []


def test_json_is_what_the_agent_said(shown):
    sessions = [data(), data("codex", Death(1.0, 0))]
    assert json.loads(shown(sessions, "--json")) == sessions


def test_hostile_names_do_no_harm(shown):
    out = shown([data("x\x1b[2J\n\u202e", directory="/\x1b]0;x\x07\udcff")])
    assert len(out.splitlines()) == 2
    assert all(line.isprintable() for line in out.splitlines())


def test_without_an_agent_it_says_how_to_start_one(where, monkeypatch):
    monkeypatch.setenv("SENTINEL_RUNTIME_DIR", str(where.runtime))
    done = CliRunner().invoke(command)
    assert isinstance(done.exception, NotRunning)
    assert done.exception.exit_code == 3
    assert str(done.exception).endswith("nothing is watched. Start it with: sentinel agent")
