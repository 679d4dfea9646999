"""`sentinel sessions`: a table, or JSON."""

from __future__ import annotations

import contextlib
import json
import time

import pytest
from click.testing import CliRunner

from sentinel.cli.sessions import age, command
from sentinel.core.facts import Death, ProcessId
from sentinel.core.ledger import Record
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
    assert head.split() == ["SESSION", "KIND", "PID", "PROCESSES", "AGE", "STATE", "DIRECTORY"]
    assert row.split() == ["claude-4231", "agent", "4231", "0", "2h", "alive", "/srv/shop"]
    assert head.index("DIRECTORY") == row.index("/srv/shop")


def test_a_dead_one_that_left_something_says_how_it_died(shown):
    assert "was killed by SIGKILL" in shown([data(death=Death(time.monotonic(), 9))])


def test_the_youngest_is_0s():
    assert age(0.2) == "0s"


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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (47.9, "47s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86399, "23h"), (86400 * 2.5, "2d")],
)
def test_an_age_is_its_largest_unit(seconds, text):
    assert age(seconds) == text
