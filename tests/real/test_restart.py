"""The agent ends and another one starts in mid-session: an upgrade, a crash. Nothing proven is lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time

import pytest

from sentinel.observe import processes
from tests.lab.stage import alive, until
from tests.real.conftest import owned

pytestmark = pytest.mark.real

CODING_AGENT = """
import subprocess, time
tool = "{1} & echo $! > {0}.tmp; mv {0}.tmp {0}; while [ ! -e go ]; do sleep 0.1; done"
job = tool.format("job", "sleep 600")
daemon = tool.format("daemon", "setsid sleep 600 </dev/null >/dev/null 2>&1")
for shell in [subprocess.Popen(["bash", "-c", script]) for script in (job, daemon)]:
    shell.wait()
open("gone", "w").close()
time.sleep(600)
"""
"""Two tool calls that leave a job each; one of them in a session of its own, with nothing in its hands."""


@pytest.fixture
def coding_agent(stage):
    """Start the agent, and a claude whose tools have left a job and a daemon to init. All four."""
    program = stage.file("bin/claude")
    shutil.copy2("/usr/bin/python3", program)
    program.chmod(0o755)
    stage.file("agent.py", CODING_AGENT)

    def start():
        agent = stage.agent()
        claude = stage.start(program, "agent.py")
        job, daemon = stage.pid("job"), stage.pid("daemon")
        owned(stage, job, daemon)
        stage.file("go")
        until((stage.home / "gone").exists, "the end of its tools")
        until(lambda: processes.above(job).parent != claude.pid, "the job being nobody's child")
        # How its tools ended is part of the proof: samples show it a little later.
        until(lambda: stage.watched("claude")["processes"] == 3, "the agent knowing that its tools have ended")
        return agent, claude, job, daemon

    return start


def end(stage, agent, number=signal.SIGTERM):
    stage.kill(agent.pid, number)
    until(lambda: not alive(agent.pid), "the agent's end")


def saved(stage):
    """Pids of all processes in the snapshot."""
    ledger = stage.home / "state" / "ledger.json"
    return set(map(int, re.findall(r'"id":\[(\d+),', ledger.read_text()))) if ledger.exists() else set()


def restored(stage):
    return [record["data"] for record in stage.journal("ledger.restored")]


def test_what_had_lost_its_parent_before_a_restart_is_still_proven(stage, coding_agent):
    bystander = stage.start("sleep", "600")
    agent, claude, job, daemon = coding_agent()
    end(stage, agent)
    stage.agent()
    assert restored(stage)[0]["sessions"] == 1
    assert "took over 1 session" in stage.sentinel("events").stdout
    owned(stage, job, daemon)
    stage.kill(claude.pid)
    until(lambda: not alive(job), "the end of the job")
    # A look in the moment of the end may have no answer yet; then there is a second word.
    judged = until(lambda: [j for j in stage.journal("session.judged") if '"daemonised"' in json.dumps(j)], "the word")
    assert str(daemon) in json.dumps(judged[-1])
    assert alive(daemon)
    assert alive(bystander.pid)


def test_a_death_while_no_agent_watched_is_acted_on_after_a_second_look(stage, coding_agent):
    agent, claude, job, daemon = coding_agent()
    end(stage, agent)
    stage.kill(claude.pid)
    time.sleep(0.5)
    assert alive(job)
    stage.agent()
    until(lambda: not alive(job), "the end of the job")
    died, done = stage.record("session.died", "claude"), stage.record("cleanup.done", "claude")
    assert died["data"]["death"]["signal"] is None
    started = stage.journal("agent.started")[-1]
    assert (done["monons"] - started["monons"]) / 1e9 >= 1.0
    assert alive(daemon)


def test_after_a_kill_of_the_agent_the_last_snapshot_serves(stage, coding_agent):
    agent, claude, job, daemon = coding_agent()
    until(lambda: saved(stage) == {claude.pid, job, daemon}, "a snapshot without its tools")
    end(stage, agent, signal.SIGKILL)
    stage.agent()
    owned(stage, job, daemon)
    stage.kill(claude.pid)
    until(lambda: not alive(job), "the end of the job")
    assert alive(daemon)


def test_what_was_spared_stays_spared_and_its_session_is_closed_at_its_end(stage, coding_agent):
    agent, claude, _, daemon = coding_agent()
    stage.kill(claude.pid)
    assert daemon in stage.spared("claude")
    stage.record("cleanup.done", "claude")
    end(stage, agent)
    said = stage.journal("session.judged")
    stage.agent()
    time.sleep(3.0)  # beyond any second look
    assert alive(daemon)
    assert stage.journal("session.judged") == said
    stage.kill(daemon)
    stage.record("session.closed", "claude")


def test_nothing_is_ended_on_a_damaged_snapshots_account(stage, coding_agent):
    agent, claude, job, daemon = coding_agent()
    end(stage, agent)
    ledger = stage.home / "state" / "ledger.json"
    ledger.write_bytes(ledger.read_bytes()[:-20])
    stage.agent()
    assert restored(stage)[0]["trouble"] == "it is damaged"
    assert os.path.exists(ledger.with_suffix(".damaged"))
    stage.kill(claude.pid)
    stage.record("session.closed", "claude")
    assert alive(job)
    assert alive(daemon)
