"""`sentinel pause`, `resume` and `keep`: with an agent that answers, and in its file without one."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from sentinel import instance, wire
from sentinel.clocks import day_and_time
from sentinel.core.switches import Halt
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.history import History
from sentinel.observe import processes
from sentinel.switches import SwitchBoard
from tests.cli.standin import StandIn
from tests.handlers.room import becomes

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.usefixtures("here")]


@pytest.fixture
def agent(where):
    """A stand-in for a running agent that answers as it is told."""
    with contextlib.ExitStack() as stack:

        def agent(answer):
            stack.enter_context(instance.claim(where))
            return stack.enter_context(contextlib.closing(StandIn(where.inbox, lambda _: answer)))

        yield agent


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        becomes(process.pid, "sleep")
        yield process
        process.kill()


def run(verb, *words, fails=None):
    done = CliRunner().invoke(importlib.import_module(f"sentinel.cli.{verb}").command, words)
    if fails is not None:
        assert isinstance(done.exception, fails), done.output
        return str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stdout


def board(where):
    return SwitchBoard(where.switches, processes.boot_id())


def told(where):
    return [entry.record["type"].removeprefix("dev.sentinel.") for entry in History(where.journal).read()]


MEANWHILE = "What died meanwhile was only reported. What it left, if anything, is shown by: sentinel clean\n"


# -- pause and resume ----------------------------------------------------------------------


def test_without_an_agent_a_pause_is_written_for_who_comes_and_told_in_the_journal(where):
    assert run("pause") == "Paused until `sentinel resume`: nothing is ended.\n"
    assert run("pause") == "Paused already until `sentinel resume`: nothing is ended.\n"
    assert board(where).held() == "a person has paused Sentinel"
    line = "Nothing is ended: a person has paused Sentinel. Go on with: sentinel resume\n"
    assert run("status").endswith(line)
    assert run("resume") == f"Sentinel acts again. It was held until now: a person has paused Sentinel.\n{MEANWHILE}"
    assert board(where).held() == ""
    assert run("resume") == "Nothing was held.\n"
    assert told(where) == ["switch.paused", "switch.resumed"]


def test_a_pause_for_a_while_names_its_end(where):
    before = time.time()
    out = run("pause", "--for", "1h 30m")
    until = board(where).now().pause.until
    assert before + 5400 <= until <= time.time() + 5400
    assert out == f"Paused until {day_and_time(until)}: nothing is ended.\n"
    assert f"a person has paused Sentinel until {day_and_time(until)}." in run("status")


def test_what_holds_for_want_of_knowledge_is_said_to_have_no_end(where):
    where.switches.parent.mkdir(parents=True, exist_ok=True)
    where.switches.write_text("{")
    out = run("pause", "--for", "1m")
    assert out.startswith("Paused until `sentinel resume`: nothing is ended.\n")
    assert "It has no end of its own: nobody can tell what was to be kept" in out
    assert board(where).now().pause.until is None


@pytest.mark.parametrize("span", ["soon", "-1h", "0s", "1h ago", ""])
def test_a_length_of_time_that_is_none_is_refused_and_nothing_is_paused(where, span):
    done = CliRunner().invoke(importlib.import_module("sentinel.cli.pause").command, ["--for", span])
    assert done.exit_code == 2
    assert board(where).held() == ""


def test_the_agent_is_asked_where_there_is_one(where, agent):
    inbox = agent({"was": "it was\x1b[2J paused", "mode": "observe"})
    run("pause", "--for", "1h")
    out = run("resume")
    assert [asked["ask"] for asked in inbox.asked] == ["pause", "resume"]
    assert inbox.asked[0]["until"] > time.time() + 3500
    assert "It was held until now: it was\\x1b[2J paused.\n" in out
    assert 'mode = "observe": still nothing is ended' in out
    assert not where.switches.exists()


def test_an_agent_that_does_not_answer_is_paused_by_the_file(where):
    with instance.claim(where):
        run("pause")
    assert board(where).held()


def test_a_pause_that_could_not_be_written_is_told_with_what_it_is_worth(agent):
    agent({"held": "x", "switch_trouble": "the disk is full"})
    done = CliRunner().invoke(importlib.import_module("sentinel.cli.pause").command, [])
    assert done.exit_code == 0
    assert "it holds until the agent ends: the disk is full" in done.stderr


def test_without_an_agent_and_a_place_to_write_nobody_is_paused(where):
    where.switches.with_name(f"switches.json.{os.getpid()}.new").mkdir()
    assert "switches.json cannot be written: Is a directory" in run("pause", fails=SentinelError)


def test_a_breaker_is_closed_like_a_pause(where):
    halt = Halt(1.0, "the kill budget is spent: 6 causes")
    board(where).change(lambda now: type(now)(now.kept, now.pause, halt))
    assert "Nothing is ended: the kill budget is spent: 6 causes. Go on with: sentinel resume" in run("status")
    assert (
        run("resume") == f"Sentinel acts again. It was held until now: the kill budget is spent: 6 causes.\n{MEANWHILE}"
    )
    assert board(where).held() == ""


def test_what_cannot_be_understood_is_said_and_begun_anew_by_resume(where):
    where.switches.write_text("{")
    assert "Nothing is ended: nobody can tell what was to be kept" in run("status")
    assert run("keep").startswith("Nothing is ended at all: nobody can tell")
    run("resume")
    assert board(where).held() == ""
    assert where.switches.with_suffix(".damaged").read_text() == "{"


def test_sessions_are_listed_below_what_holds(where, agent):
    row = {
        "id": "p1-7",
        "session_kind": "run",
        "pid": 7,
        "processes": 2,
        "born": 1.0,
        "alive": True,
        "death": "",
        "directory": "/p",
    }
    agent([{**row, "kept": True}, row])
    run("keep", str(os.getpid()), fails=SentinelError)  # an answer that is none of keep's
    board(where).change(lambda now: type(now)(now.kept, Halt(1.0, "a person has paused Sentinel"), None))
    first, _, kept, other = run("sessions").splitlines()
    assert first == "Nothing is ended: a person has paused Sentinel. Go on with: sentinel resume"
    assert "alive, kept" in kept
    assert "kept" not in other
    assert len(json.loads(run("sessions", "--json"))) == 2


# -- keep ----------------------------------------------------------------------------------


def test_without_an_agent_a_process_is_kept_by_its_identity(where, sleeper):
    assert run("keep") == "Nothing is kept.\n"
    out = run("keep", str(sleeper.pid))
    assert out == f"sleep (pid {sleeper.pid}): left alone from now on, with all that it bears.\n"
    (keep,) = board(where).now().kept
    assert keep.id == processes.identify(sleeper.pid)
    assert run("keep") == f"{sleeper.pid:>8}  sleep\n"
    assert run("keep", str(sleeper.pid), "--off") == f"sleep (pid {sleeper.pid}): kept no more.\n"
    assert board(where).now().kept == ()
    assert told(where) == ["switch.keep", "switch.keep"]


def test_the_list_says_who_has_ended(where, sleeper):
    run("keep", str(sleeper.pid))
    sleeper.kill()
    sleeper.wait()
    assert run("keep") == f"{sleeper.pid:>8}  sleep  (has ended)\n"
    listed = json.loads(run("keep", "--json"))
    assert listed["kept"] == [{"pid": sleeper.pid, "name": "sleep", "session": "", "alive": False}]
    assert listed["held"] == ""


def test_what_is_not_there_cannot_be_kept_or_released(where):
    assert run("keep", "4194399", fails=NoSuchThing) == "there is no process 4194399"
    assert "no living session is called nobody-here" in run("keep", "nobody-here", fails=NoSuchThing)
    assert "4194399 is not on the list" in run("keep", "4194399", "--off", fails=NoSuchThing)
    assert not where.switches.exists()


def test_to_keep_nothing_no_more_is_a_question():
    done = CliRunner().invoke(importlib.import_module("sentinel.cli.keep").command, ["--off"])
    assert done.exit_code == 2
    assert "keep what no more?" in done.stderr


def test_the_agents_answer_is_told_in_words_or_as_it_is(agent):
    kept = [{"pid": pid, "name": "node\x1b[2J", "session": ""} for pid in (7, 8, 9)]
    inbox = agent({"kept": kept})
    assert run("keep", "api").startswith("node\\x1b[2J (pid 7) and 2 processes that it had borne: left alone")
    assert json.loads(run("keep", "api", "--off", "--json")) == {"kept": kept}
    assert inbox.asked == [{"ask": "keep", "what": "api", "off": off} for off in (False, True)]


def test_every_switch_can_be_asked_for():
    assert {wire.Pause, wire.Resume, wire.Keep} <= set(wire.Request.__args__)
