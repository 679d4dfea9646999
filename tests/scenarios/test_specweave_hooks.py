"""SpecWeave's scenarios of its session hooks (its tasks T-010 to T-012 and T-016 to T-018), each by its name.

Its registry is the agent's book here (``sentinel sessions``), and its heartbeat process and
watchdog are nothing at all: the kernel tells of the death. Where a scenario asks for
seconds, more is promised: at the death, not at the next look.
"""

from __future__ import annotations

import json
import signal
import sys

import pytest

from tests.lab.claude import STUBBORN, Claude, fired
from tests.lab.stage import alive, until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")]

ATTENDED = {"TERM": "xterm-256color"}


def ended(*pids):
    until(lambda: not any(map(alive, pids)), "their end")


# -- T-010: SessionStart -------------------------------------------------------------------


def test_normal_session_start(stage):
    """The scenario's heartbeat process is missing on purpose: the session's pidfd tells more, and costs nothing."""
    stage.agent()
    claude = Claude(stage, **ATTENDED)
    before = stage.everyone()
    claude.hook("SessionStart", session_id="0f8", source="startup")
    session = claude.session()
    assert (session["session_kind"], session["name"], session["pid"]) == ("agent", "claude", claude.pid)
    assert (session["conversation"], session["alive"]) == ("0f8", True)
    assert sorted(stage.everyone()) == sorted(before)


def test_hook_failure_doesnt_block_claude(stage):
    """The registry is damaged, nobody listens, and there is no room for the word: the coding agent goes on."""
    stage.run("mkdir", "-m", "700", "state")
    stage.file("state/registry.db", '{"sessions": [ invalid JSON' * 200, 0o600)
    (stage.home / "runtime").write_text("")
    claude = Claude(stage, **ATTENDED)
    claude.hook("SessionStart", session_id="0f8", source="startup")
    assert claude.do("1 + 1") == 2
    (stage.home / "runtime").unlink()
    stage.agent()
    claude.hook("SessionStart", session_id="0f8", source="startup")
    assert claude.session()["conversation"] == "0f8"
    told = until(lambda: stage.journal("registry.rebuilt"), "the damage being told")
    assert len(told) == 1


def test_multiple_concurrent_session_starts(stage):
    stage.agent()
    agents = [Claude(stage, **ATTENDED) for _ in range(3)]
    for number, claude in enumerate(agents):
        line = f"hook('SessionStart', session_id='session-{number}')\n"
        claude.process.stdin.write(line.encode())
        claude.process.stdin.flush()
    for claude in agents:
        assert json.loads(claude.process.stdout.readline()) == [0, "", ""]
        claude.is_heard()
    sessions = [claude.session() for claude in agents]
    assert [one["conversation"] for one in sessions] == ["session-0", "session-1", "session-2"]
    assert len({one["key"] for one in sessions}) == 3


# -- T-011: SessionEnd ---------------------------------------------------------------------


def test_normal_session_termination_and_kill_stubborn_child_processes(stage):
    """Nothing is ended at the hook, for the agent lives then; all of it at its end: SIGTERM, 2 s later SIGKILL."""
    stage.agent()
    claude = Claude(stage, **ATTENDED)
    claude.hook("SessionStart", session_id="session-001", source="startup")
    children = [claude.bear() for _ in range(3)]
    stubborn = claude.bear(STUBBORN)
    claude.hook("SessionEnd", session_id="session-001", reason="prompt_input_exit")
    assert all(map(alive, (*children, stubborn)))
    assert stage.journal("session.died") == []
    claude.exit()
    ended(*children, stubborn)
    outcomes = stage.record("cleanup.done", "claude")["data"]["outcomes"]
    results = {int(one["target"].partition("@")[0]): one["result"] for one in outcomes}
    assert {results[pid] for pid in children} <= {"ended", "gone"}
    assert results[stubborn] == "killed"
    assert next(one["data"]["grace"] for one in stage.journal("action.intended")) == 2.0
    stage.record("session.closed", "claude")
    until(lambda: claude.session() is None, "its being forgotten")


def test_handle_missing_session_gracefully(stage):
    """No coding agent is above this hook: it is written down, and nothing follows."""
    stage.agent()
    stage.file("payload.json", '{"session_id": "session-001", "reason": "other"}')
    words = " ".join(map(str, Claude.words("SessionEnd")))
    done = stage.run("sh", "-c", f"{words} < payload.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    until(lambda: fired(stage), "its being heard")
    assert [(one["session"], one["note"]) for one in fired(stage)] == [(None, "no coding agent is above it")]
    assert stage.journal("session.opened", "session.died") == []


# -- T-012: non-interactive mode -------------------------------------------------------------


def test_ci_environment_detection_and_fast_cleanup_in_ci(stage):
    """No process for the hook, nobody notified, and half a second for whoever does not heed SIGTERM."""
    stage.agent()
    claude = Claude(stage, CI="true", **ATTENDED)
    before = stage.everyone()
    claude.hook("SessionStart", session_id="ci", source="startup")
    assert sorted(stage.everyone()) == sorted(before)
    assert claude.session()["unattended"] is True
    stubborn = claude.bear(STUBBORN)
    claude.hook("SessionEnd", session_id="ci", reason="other")
    claude.exit()
    ended(stubborn)
    stage.record("session.closed", "claude")
    assert next(one["data"]["grace"] for one in stage.journal("action.intended")) == 0.5
    assert stage.journal("notification.sent") == []


def test_interactive_mode_uses_full_features(stage):
    stage.agent()
    claude = Claude(stage, **ATTENDED)
    claude.hook("SessionStart", session_id="desk", source="startup")
    assert claude.session()["unattended"] is False
    child = claude.bear()
    claude.exit()
    ended(child)
    assert until(lambda: stage.journal("notification.sent"), "somebody being told")


# -- T-016 to T-018: end to end --------------------------------------------------------------


def test_complete_session_lifecycle(stage):
    """At the end nothing of the session is left: no process, no entry, no zombie, and the agent watches on."""
    agent = stage.agent()
    claude = Claude(stage, **ATTENDED)
    claude.hook("SessionStart", session_id="one", source="startup")
    server = claude.bear("sleep 601")
    claude.hook("Stop", session_id="one", background_tasks=[{"id": "b1", "type": "shell", "command": "sleep 601"}])
    assert claude.session()["tasks"] == ["sleep 601"]
    assert "    - sleep 601\n" in stage.sentinel("explain", "claude").stdout
    claude.hook("SessionEnd", session_id="one", reason="clear")
    claude.hook("SessionStart", session_id="two", source="clear")
    assert (claude.session()["conversation"], alive(server)) == ("two", True)
    claude.hook("SessionEnd", session_id="two", reason="prompt_input_exit")
    claude.exit()
    ended(server)
    stage.record("session.closed", "claude")
    assert len(stage.journal("session.died")) == 1
    assert [pid for pid in stage.everyone() if pid != agent.pid] == []


def test_session_crashes_and_auto_recovers(stage):
    """SIGKILL: no SessionEnd. What it left is ended at the death, not within 70 s, and its person is told."""
    stage.agent()
    claude = Claude(stage, **ATTENDED)
    claude.hook("SessionStart", session_id="one", source="startup")
    heartbeat, processor = claude.bear(), claude.bear()
    stage.kill(claude.pid, signal.SIGKILL)
    ended(heartbeat, processor)
    assert [one["hook"] for one in fired(stage)] == ["SessionStart"]
    stage.record("cleanup.done", "claude")
    assert until(lambda: stage.journal("notification.sent"), "its person being told")


def test_three_concurrent_sessions(stage):
    """The agent of Sentinel, which watches all three, stays when the last has gone: the next one comes."""
    agent = stage.agent()
    agents = [Claude(stage, **ATTENDED) for _ in range(3)]
    for number, claude in enumerate(agents):
        claude.hook("SessionStart", session_id=f"session-{number}", source="startup")
    children = [claude.bear() for claude in agents]
    agents[1].exit()
    ended(children[1])
    assert [alive(child) for child in children] == [True, False, True]
    assert [claude.session()["alive"] for claude in (agents[0], agents[2])] == [True, True]
    agents[2].exit()
    agents[0].exit()
    ended(*children)
    until(lambda: len(stage.journal("session.closed")) == 3, "all three being closed")
    assert agent.poll() is None
    assert stage.sentinel("sessions").stdout == "No session is watched now.\n"
