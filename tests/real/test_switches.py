"""Keep, pause, resume and the kill budget, with the real agent: also over its restart and without it."""

from __future__ import annotations

import json
import time

import pytest

from tests.lab.stage import alive, until
from tests.real.conftest import POLLING, settled, write

pytestmark = pytest.mark.real

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"


def configure(stage, source, text):
    stage.configure((POLLING if source == "polling" else "") + text)


def said(stage, *words):
    done = stage.sentinel(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def outcome(stage, name):
    """Results and reasons of the clean-up after a session of this name."""
    outcomes = stage.record("cleanup.done", name)["data"]["outcomes"]
    return {(o["result"], o["reason"]) for o in outcomes}


def restart(stage, agent, how):
    """End the agent in good order or not, and start another one."""
    agent.terminate() if how == "stop" else stage.kill(agent.pid)
    agent.wait(timeout=30)
    return stage.agent()


@pytest.mark.parametrize("how", ["", "stop", "crash"])
def test_what_is_kept_survives_its_session_with_all_that_it_bears(stage, how):
    agent = stage.agent()
    script = f"""
        bash -c 'while [ ! -e go ]; do sleep 0.05; done; sleep 600 & echo $! > late; wait' & {write("kept")}
        sleep 600 & {write("lost")}
        exec sleep 600"""
    wrapper = stage.start_run("api", script)
    kept, lost = settled(stage, "kept", "lost")
    assert said(stage, "keep", str(kept)) == f"bash (pid {kept}): left alone from now on, with all that it bears.\n"
    stage.file("go")
    (late,) = settled(stage, "late")
    if how:
        restart(stage, agent, how)
        stage.watched("api")
    stage.kill(wrapper.pid)
    until(lambda: not alive(lost), "the end of what is not kept")
    assert stage.spared("api")[kept] == "kept"
    stage.record("cleanup.done", "api")
    assert alive(kept)
    assert alive(late)
    assert str(kept) in said(stage, "keep")


def test_a_session_that_is_kept_without_an_agent_is_kept_by_the_next_one(stage):
    wrapper = stage.start_run("api", f"sleep 600 & {write('left')}; exec sleep 600")
    left = stage.pid("left")
    until(lambda: "left alone" in stage.sentinel("keep", "api").stdout, "the session being found from here")
    stage.agent()
    (left,) = settled(stage, "left")
    assert ", kept" in said(stage, "sessions")
    stage.kill(wrapper.pid)
    assert stage.spared("api")[left] == "kept"
    assert alive(left)
    assert said(stage, "keep", "api", "--off").strip().endswith("kept no more.")
    assert said(stage, "keep") == "Nothing is kept.\n"


def test_a_pause_within_the_grace_keeps_sigkill_away(stage, source):
    configure(stage, source, "[policy.run]\ngrace = 3.0\n")
    agent = stage.agent()
    wrapper = stage.start_run("api", f"python3 -c '{STUBBORN}' > ready & {write('stubborn')}; exec sleep 600")
    (stubborn,) = settled(stage, "stubborn")
    ready = stage.home / "ready"
    until(lambda: ready.exists() and ready.read_text(), "the actor's own start")
    stage.kill(wrapper.pid)
    stage.record("action.intended", "api")
    assert said(stage, "pause") == "Paused until `sentinel resume`: nothing is ended.\n"
    assert outcome(stage, "api") == {
        ("refused", "it was sent SIGTERM and is spared now: a person has paused Sentinel")
    } | ({("ended", "")} if len(outcome(stage, "api")) > 1 else set())
    assert alive(stubborn)
    restart(stage, agent, "crash")
    time.sleep(1.5)  # longer than the second look at what the agent before left unfinished
    assert alive(stubborn)
    assert "Nothing is ended: a person has paused Sentinel." in said(stage, "status")


def test_a_run_without_an_agent_heeds_a_pause_as_well(stage):
    said(stage, "pause")
    script = f"sleep 600 >/dev/null 2>&1 & {write('left')}; exit 5"  # who lives on must not hold what we read
    done = stage.sentinel("run", "--name", "alone", "--", "bash", "-c", script)
    assert done.returncode == 5
    assert "1 process not ended (a person has paused Sentinel)" in done.stderr
    assert alive(stage.pid("left"))


def test_while_it_is_paused_a_death_is_only_reported_and_after_it_the_next_one_is_cleaned_up(stage):
    said(stage, "pause", "--for", "1h")  # before there is an agent
    stage.agent()
    first = stage.start_run("first", f"sleep 600 & {write('one')}; exec sleep 600")
    (one,) = settled(stage, "one", session="first")
    stage.kill(first.pid)
    assert ("held", "a person has paused Sentinel") in outcome(stage, "first")
    assert "Nothing is ended: a person has paused Sentinel until" in said(stage, "sessions")
    assert said(stage, "resume").startswith("Sentinel acts again")
    second = stage.start_run("second", f"sleep 600 & {write('two')}; exec sleep 600")
    (two,) = settled(stage, "two", session="second")
    stage.kill(second.pid)
    until(lambda: not alive(two), "the end of what the second one left")
    assert alive(one)
    assert [r["type"].rpartition(".")[2] for r in stage.journal("switch.paused", "switch.resumed")] == [
        "paused",
        "resumed",
    ]


def test_a_storm_opens_the_breaker_which_a_restart_does_not_close(stage, source):
    configure(stage, source, "[budget]\ncauses = 3\nshare = 1\n")
    agent = stage.agent()
    runs = [stage.start_run(f"run{n}", f"sleep 600 & {write(f'left{n}')}; exec sleep 600") for n in range(6)]
    left = [settled(stage, f"left{n}", session=f"run{n}")[0] for n in range(6)]
    for wrapper in runs:
        stage.kill(wrapper.pid)
    for n in range(6):
        stage.record("cleanup.done", f"run{n}")
    assert sum(map(alive, left)) == 3
    (opened,) = stage.journal("breaker.opened")
    assert opened["data"]["why"] == "4 causes within 30 s had something to end: the budget is 3"
    restart(stage, agent, "stop")
    assert "Nothing is ended: the kill budget is spent: 4 causes" in said(stage, "status")
    assert json.loads(said(stage, "status", "--json"))["held"]
    said(stage, "resume")
    wrapper = stage.start_run("after", f"sleep 600 & {write('after')}; exec sleep 600")
    (after,) = settled(stage, "after", session="after")
    stage.kill(wrapper.pid)
    until(lambda: not alive(after), "the end of what the last one left")


def test_switches_that_are_damaged_hold_everything_until_somebody_says_resume(stage):
    stage.agent()
    stage.file("state/switches.json", "{")
    wrapper = stage.start_run("api", f"sleep 600 & {write('left')}; exec sleep 600")
    (left,) = settled(stage, "left")
    stage.kill(wrapper.pid)
    (reason,) = {reason for result, reason in outcome(stage, "api") if result == "held"}
    assert reason.startswith("nobody can tell what was to be kept")
    assert alive(left)
    assert "nobody can tell what was to be kept" in said(stage, "status")
    said(stage, "resume")
    assert "Nothing is ended" not in said(stage, "status")
