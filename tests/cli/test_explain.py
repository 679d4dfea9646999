"""`sentinel explain`: from the agent, or from a look of one's own, and from the journal."""

from __future__ import annotations

import contextlib
import json
import os
import sys

import pytest
from click.testing import CliRunner

from sentinel.cli import screen
from sentinel.cli.explain import _title, command
from sentinel.core.actions import Outcome, Result
from sentinel.core.events import (
    AgentStarted,
    CleanedUp,
    SessionDied,
    TmuxSessionClosed,
    TmuxSessionOpened,
    TmuxSessionRenamed,
)
from sentinel.core.facts import Death, ProcessId
from sentinel.core.sessions import Kind, Session
from sentinel.errors import ConfigError, NoSuchThing, NotRunning, SentinelError
from sentinel.journal import Journal
from tests.cli.standin import StandIn

pytestmark = pytest.mark.usefixtures("here")

CLAUDE = Session(Kind.AGENT, "claudine", ProcessId(4231, 7))
"""Called as no agent that may live beside the tests is: where none is asked, the answer comes from a look at all."""
TOLD = {
    "kind": "process",
    "what": "process 17 (node)",
    "identity": "17@5",
    "would": "leave it alone: its session is alive",
    "evidence": ["born of process 4231"],
    "against": [{"guard": "owner-alive", "reason": "its session is alive"}],
}


@pytest.fixture
def agent(where):
    with contextlib.ExitStack() as stack:
        yield lambda answer: stack.enter_context(contextlib.closing(StandIn(where.inbox, lambda _: answer)))


@pytest.fixture
def story(where):
    journal = Journal(where.journal, "deadbeef")
    journal.record(AgentStarted("1", "polling"))
    journal.record(SessionDied(CLAUDE, Death(1.0, 9)))
    journal.record(CleanedUp(CLAUDE, (Outcome("17@5", Result.ENDED, name="node"),), 0.004), 2)
    journal.close()


def explain(*arguments):
    done = CliRunner().invoke(command, arguments)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_what_the_agent_knows_is_shown(agent):
    it = agent(TOLD)
    lines = explain("17").splitlines()
    assert it.asked == [{"ask": "explain", "what": "17"}]
    assert lines[:2] == [
        "process 17 (node), identity 17@5",
        "  Sentinel would now: leave it alone: its session is alive",
    ]
    assert "    - its session is alive [owner-alive]" in lines


def test_why_not_tells_of_each_guard_whether_it_speaks(agent):
    agent({**TOLD, "silent": [{"guard": "nohup", "title": "started with nohup"}]})
    assert explain("17", "--why-not").splitlines()[2:] == [
        "  For it to be ended, all of this would have to be different:",
        "    - its session is alive [owner-alive]",
        "  This was asked, and does not speak for it:",
        "    - started with nohup [nohup]",
    ]


def test_on_a_narrow_terminal_lines_are_broken_between_words(agent, monkeypatch):
    agent(TOLD)
    monkeypatch.setattr(screen, "width", lambda **_: 39)
    lines = explain("17").splitlines()
    assert lines[1:3] == ["  Sentinel would now: leave it alone:", "      its session is alive"]
    assert "    - its session is alive" in lines
    assert "        [owner-alive]" in lines


def test_why_not_is_about_processes(agent, story):
    agent(TOLD | {"kind": "session"})
    for what in ("claudine", "e2"):
        done = CliRunner().invoke(command, [what, "--why-not"])
        assert done.exit_code == 2
        assert "about a process" in done.stderr


def test_why_not_of_a_process_that_is_gone_is_not_told_to_name_one(agent, story):
    agent(NoSuchThing("there is no process 17"))
    with pytest.raises(NoSuchThing, match=r"there is no process 17 any more; .*: sentinel explain 17$"):
        explain("17", "--why-not")


def test_json_is_one_object_with_its_past(agent, story):
    agent(TOLD)
    told = json.loads(explain("17", "--json"))
    assert {**told, **TOLD} == told
    assert [record["seq"] for record in told["past"]] == [3]


def test_a_path_is_made_absolute_before_it_is_asked_about(agent, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    it = agent({"kind": "path", "what": "x", "would": "nothing"})
    explain("./o.sock")
    assert it.asked[0]["what"] == str(tmp_path / "o.sock")


@pytest.mark.parametrize("what", ["17", "claudine", "claudine-4231", "claudine-4231@7", "4231"])
def test_what_is_gone_is_known_from_the_journal(agent, story, what):
    agent(NoSuchThing("there is no such thing"))
    out = explain(what)
    assert "Sentinel would now: nothing: " in out
    assert "there is no such thing" in out
    assert "What was done:" in out


def test_a_session_inside_of_tmux_is_told_with_its_panes_and_what_the_history_knows_of_its_name(agent, where):
    server = Session(Kind.TMUX, "default", ProcessId(8, 1))
    journal = Journal(where.journal, "deadbeef")
    journal.record(TmuxSessionOpened(server, "$3", "old"))
    journal.record(TmuxSessionRenamed(server, "$3", "work", "old"))
    journal.record(TmuxSessionClosed(server, "$4", "play"))
    journal.close()
    pane = {"id": "%1-9", "directory": "/srv/shop", "processes": 1}
    agent({"kind": "tmux session", "what": 'session "work" ($3)', "would": "watch its panes", "panes": [pane]})
    *head, renamed = explain("work").splitlines()
    assert head[2:] == ["  Its panes:", "    - %1-9 in /srv/shop, 1 process", "  What was done:"]
    assert renamed.endswith(' e2 session "old" ($3) in tmux server "default" is called "work" now')
    assert all(f" e{number} " in explain("old") for number in (1, 2))
    assert " e3 " in explain("play")


def test_a_name_that_the_history_has_is_not_denied(story):
    would = "nothing: no living session is called claudine; this is what the history knows"
    assert explain("claudine").splitlines()[1] == f"  Sentinel would now: {would}"


def test_what_nobody_knows_is_an_error(agent, story):
    agent(NoSuchThing("no living session is called nobody"))
    with pytest.raises(NoSuchThing, match="no living session is called nobody, and the journal does not mention it"):
        explain("nobody")


def test_an_event_is_shown_with_what_led_to_it_and_what_followed(story):
    told = json.loads(explain("e2", "--json"))
    assert (told["because"], told["event"]["seq"], [r["seq"] for r in told["then"]]) == ([], 2, [3])
    told = json.loads(explain("deadbeef-3", "--json"))
    assert ([r["seq"] for r in told["because"]], told["event"]["seq"]) == ([2], 3)
    out = explain("e3")
    assert out.index("Because") < out.index("This")
    assert explain("E3") == out
    with pytest.raises(NoSuchThing, match="there is no event e99 in the journal"):
        explain("e99")


def test_what_is_left_out_of_a_long_past_is_counted(agent, where):
    agent(NoSuchThing("no living session is called claudine"))
    journal = Journal(where.journal, "deadbeef")
    for _ in range(30):
        journal.record(SessionDied(CLAUDE, Death(1.0, 9)))
    journal.close()
    out = explain("claudine")
    assert "  What was done (and 6 records before):" in out
    assert " e6 " not in out
    assert " e7 " in out
    told = json.loads(explain("claudine", "--json"))
    assert (len(told["past"]), told["past_left_out"]) == (24, 6)


@pytest.mark.parametrize(
    ("earlier", "title"),
    [(0, "What was done"), (1, "What was done (and 1 record before)"), (2, "What was done (and 2 records before)")],
)
def test_how_many_are_left_out_is_said_rightly(earlier, title):
    assert _title(earlier) == title


@pytest.mark.parametrize("what", ["", " "])
def test_nothing_cannot_be_explained(what, story):
    with pytest.raises(SystemExit) as ended:
        command.main([what], standalone_mode=True)
    assert ended.value.code == 2


@pytest.mark.parametrize("what", [str(os.getpid()), "claudine"])
def test_a_wrong_configuration_is_no_answer(what, story, where):
    where.config.mkdir(exist_ok=True)
    where.config_file.write_text("mode = 7")
    with pytest.raises(ConfigError, match=r"sentinel\.toml:1: "):
        explain(what)


def test_an_agent_that_answers_nonsense_is_an_error(agent):
    agent(["what?"])
    with pytest.raises(SentinelError, match="cannot be read"):
        explain("17")


@pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
def test_without_an_agent_a_look_of_ones_own_is_said_to_be_one():
    out = explain(str(os.getpid()))
    assert out.startswith(f"process {os.getpid()} (")
    assert "no session that Sentinel watches bore it" in out or "is alive" in out
    assert "(no agent is running: this is what a look from here shows)" in out
    assert json.loads(explain(str(os.getpid()), "--json"))["alone"] is True


@pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
def test_a_file_is_explained_by_its_bare_name_where_nothing_else_is_called_so(tmp_path, monkeypatch, story):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build.lock").touch()
    (tmp_path / "claudine").touch()
    assert explain("build.lock").startswith(f"{tmp_path / 'build.lock'}\n")
    assert explain("claudine").startswith("claudine\n")  # a session of the history


@pytest.mark.parametrize("what", ["999999999", "nobody", "./nosuch/file", "\u00b2", "9" * 5000, "e", "\x1b[2J"])
def test_without_an_agent_what_is_not_there_is_an_error(what):
    with pytest.raises(NoSuchThing) as refusal:
        explain(what)
    assert not isinstance(refusal.value, NotRunning)
    assert str(refusal.value).isprintable()
