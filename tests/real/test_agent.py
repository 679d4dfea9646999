"""The agent itself: start, second start, death, bad input, and what can be asked of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.lab.stage import alive, interpreter, until

pytestmark = pytest.mark.real


def run_with_child(stage, name="api"):
    """A ``sentinel run`` with one background child; the wrapper and the child's pid."""
    wrapper = stage.start_run(name, f"sleep 600 & echo $! > {name}-child; exec sleep 600")
    child = stage.pid(f"{name}-child")
    stage.watched(name)
    until(lambda: "owned by" in stage.sentinel("explain", str(child)).stdout, "the agent knowing it")
    return wrapper, child


def test_a_second_agent_says_who_is_there_and_touches_nothing(stage):
    first = stage.agent()
    before = (stage.home / "state" / "events.jsonl").read_bytes()
    second = stage.sentinel("agent")
    assert second.returncode == 0
    assert f"already running (PID {first.pid}" in second.stderr
    assert (stage.home / "state" / "events.jsonl").read_bytes() == before
    assert stage.sentinel("status").returncode == 0


def test_the_exit_status_of_status_is_that_of_lsb(stage):
    assert stage.sentinel("status").returncode == 3
    agent = stage.agent()
    assert stage.sentinel("status").returncode == 0
    stage.kill(agent.pid)
    until(lambda: not alive(agent.pid), "its end")
    assert stage.sentinel("status").returncode == 1
    agent = stage.agent()
    stage.kill(agent.pid, signal.SIGTERM)
    until(lambda: not alive(agent.pid), "its end")
    assert stage.sentinel("status").returncode == 3
    assert stage.sentinel("sessions").returncode == 3


@pytest.mark.parametrize("source", ["connector"], indirect=True)
def test_an_agent_whose_greeting_nobody_can_read_watches_all_the_same(stage):
    """``sentinel agent | true``, and a full disk: it died of it, and three such deaths are safe mode."""
    reading, writing = os.pipe()
    os.close(reading)
    with open("/dev/full", "wb") as full:
        for output in (writing, full):
            agent = stage.start(*interpreter(), "agent", stdout=output, stderr=subprocess.PIPE)
            until(lambda: stage.sentinel("status").returncode == 0, "its start")
            time.sleep(0.5)  # it greets when it can be asked already
            stage.kill(agent.pid, signal.SIGTERM)
            assert (agent.wait(), agent.stderr.read()) == (0, b"")
    os.close(writing)


def test_when_the_agent_dies_nothing_else_does_and_the_next_one_goes_on(stage):
    agent = stage.agent()
    wrapper, child = run_with_child(stage)
    stage.kill(agent.pid)
    until(lambda: not alive(agent.pid), "its end")
    time.sleep(0.3)
    assert alive(child)
    assert wrapper.poll() is None
    stage.agent()
    until(lambda: "owned by" in stage.sentinel("explain", str(child)).stdout, "the next agent knowing it")
    stage.kill(wrapper.pid)
    until(lambda: not alive(child), "its end")


@pytest.mark.parametrize(
    ("text", "line"),
    [('mode = "acts"\n', 1), ('[policy.run]\ngrace = 2\nsurvivor = "end"\n', 3), ("mode = \n", 1)],
)
def test_a_wrong_configuration_starts_nothing(stage, text, line):
    stage.configure(text)
    done = stage.sentinel("agent")
    assert done.returncode == 78
    assert f"sentinel.toml:{line}:" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert stage.sentinel("status").returncode == 3


@pytest.mark.parametrize(
    ("words", "status"),
    [(["nonsense"], 2), (["events", "--nonsense"], 2), (["explain", "nobody"], 1), (["events", "--session", "x"], 1)],
)
def test_what_is_not_known_is_said_in_a_line(stage, words, status):
    done = stage.sentinel(*words)
    assert done.returncode == status
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_what_cannot_be_recorded_is_not_done(stage):
    agent = stage.agent()
    wrapper, child = run_with_child(stage)
    # A directory in the journal's place: nobody, not even its owner, can append to that.
    state = stage.home / "state"
    stage.run("mv", state / "events.jsonl", state / "before.jsonl")
    stage.run("mkdir", state / "events.jsonl")
    stage.kill(wrapper.pid)
    until(lambda: "Trouble" in stage.sentinel("status").stdout, "the agent saying so")
    time.sleep(0.3)
    assert alive(child)
    assert agent.poll() is None
    stage.run("rmdir", state / "events.jsonl")
    stage.run("mv", state / "before.jsonl", state / "events.jsonl")
    wrapper, child = run_with_child(stage, "again")
    stage.kill(wrapper.pid)
    until(lambda: not alive(child), "its end, now that it can be recorded")


def test_lost_notices_are_said_and_the_ledger_is_right_afterwards(stage, source):
    agent = stage.agent()
    wrapper, child = run_with_child(stage)
    stage.kill(agent.pid, signal.SIGSTOP)
    flood = "import os\nfor _ in range(9000):\n  pid = os.fork()\n  if not pid: os._exit(0)\n  os.waitpid(pid, 0)"
    assert stage.run("python3", "-c", flood).returncode == 0
    late = stage.start_run("late", "sleep 600 & echo $! > late-child; exec sleep 600")
    late_child = stage.pid("late-child")
    stage.kill(agent.pid, signal.SIGCONT)
    if source == "connector":
        until(lambda: stage.journal("source.lost"), "the loss being said")
    stage.watched("late")
    until(lambda: "owned by" in stage.sentinel("explain", str(late_child)).stdout, "the agent knowing it")
    for process, pid in ((wrapper, child), (late, late_child)):
        stage.kill(process.pid)
        until(lambda pid=pid: not alive(pid), "its end")
