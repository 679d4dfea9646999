"""Coding agents' own hooks with the real agent: left while it is away, and run by the real Claude Code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.lab.claude import Claude, fired
from tests.lab.stage import alive, as_user, interpreter, until

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")]

ATTENDED = {"TERM": "xterm-256color"}


@pytest.fixture
def source():
    """One source is enough here: nothing rests on hooks, and what ends a session's own is tried under both."""
    if os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
        pytest.skip("missing: the initial pid namespace")
    return "connector"


def test_what_hooks_told_while_no_agent_ran_is_not_lost(stage):
    claude = Claude(stage, **ATTENDED)
    claude.hook("SessionStart", session_id="0f8", source="startup")
    child = claude.do("bear('sleep 600')")
    claude.hook("Stop", session_id="0f8", background_tasks=[{"type": "shell", "command": "sleep 600"}])
    assert len(list((stage.home / "runtime" / "spool").iterdir())) == 2
    stage.agent()
    until(lambda: len(fired(stage)) == 2, "both being heard")
    assert [one["hook"] for one in fired(stage)] == ["SessionStart", "Stop"]
    session = claude.session()
    assert (session["conversation"], session["tasks"]) == ("0f8", ["sleep 600"])
    claude.is_heard()
    assert list((stage.home / "runtime" / "spool").iterdir()) == []
    claude.exit()
    until(lambda: not alive(child), "its end")


def test_what_hooks_told_is_known_to_the_next_agent(stage):
    agent = stage.agent()
    claude = Claude(stage, CI="1", **ATTENDED)
    claude.hook("Stop", session_id="0f8", background_tasks=[{"type": "shell", "command": "npm run dev"}])
    before = claude.session()
    stage.kill(agent.pid, 15)
    agent.wait(20)
    claude.hook("Stop", session_id="0f8", background_tasks=[])
    stage.agent()
    claude.is_heard()
    after = claude.session()
    assert (before["tasks"], after["tasks"]) == (["npm run dev"], [])
    assert (after["key"], after["conversation"], after["unattended"]) == (before["key"], "0f8", True)


def test_a_forged_hook_ends_nothing_and_makes_no_session(stage):
    """Everything that a hook can say, about processes that it has nothing to do with."""
    stage.agent()
    stranger = stage.start("sleep", "600")
    claude = Claude(stage, **ATTENDED)
    child = claude.bear()
    words = [*interpreter(), "hook", "claude", "SessionEnd"]
    payload = json.dumps({"session_id": "x", "reason": "other", "pid": stranger.pid, "background_tasks": [{"id": "1"}]})
    for mark in (str(stranger.pid), str(claude.pid)):
        subprocess.run(
            stage.command(*words, CLAUDE_PID=mark), input=payload.encode(), timeout=30, check=True, capture_output=True
        )
    spool = stage.home / "runtime" / "spool"
    chain = [[claude.pid, 1], [stranger.pid, 1]]
    call = {"id": "1-1", "agent": "claude", "event": "SessionEnd", "at": 1.0, "boot": "x", "chain": chain}
    forged = stage.file("runtime/forged", json.dumps({"ask": "hook", "call": call}), mode=0o600)
    forged.rename(spool / f"{1:020d}-1.json")
    until(lambda: len(fired(stage)) == 3, "all of them being heard")
    assert {one["note"] for one in fired(stage)} == {"no coding agent is above it"}
    assert [alive(pid) for pid in (stranger.pid, claude.pid, child)] == [True] * 3
    assert stage.journal("session.died", "action.intended") == []


@pytest.fixture
def real_claude():
    """The real one, where somebody has it. ``npm install @anthropic-ai/claude-code`` brings 235 MB of it."""
    program = os.environ.get("SENTINEL_TEST_CLAUDE") or shutil.which("claude")
    if program is None or subprocess.run(as_user(program, "--version"), capture_output=True, check=False).returncode:
        pytest.skip("missing: Claude Code (SENTINEL_TEST_CLAUDE=PATH, which the lab's users may run)")
    return program


def test_the_real_claude_code_runs_what_was_installed(stage, real_claude):
    """Without a log-in it runs its hooks all the same, and ends at once."""
    stage.agent()
    stage.file(".claude/settings.json", json.dumps({"theme": "dark"}, indent=2))
    words = ["hooks", "install", "claude", "--yes"]
    # What would refuse the interpreter of a test's stage, which is cleared away, is tried in tests/service.
    install = (
        "import sys, sentinel.service.command as c; words = sys.argv.pop(1).split(); c.ours = lambda _: words;"
        "from sentinel.cli import main; sys.exit(main())"
    )
    python = [word for word in interpreter() if word not in {"-m", "sentinel"}]
    done = stage.run(*python, "-c", install, " ".join(interpreter()), *words)
    assert done.returncode == 0, done.stderr
    stage.run(real_claude, "-p", "hi")
    told = until(lambda: len(fired(stage)) == 2 and fired(stage), "its hooks")
    assert [(one["hook"], one["detail"]) for one in told] == [("SessionStart", "startup"), ("SessionEnd", "other")]
    assert {one["session"]["name"] for one in told} == {"claude"}
    assert {one["note"] for one in told} == {""}
    assert len({one["conversation"] for one in told}) == 1
    status = json.loads(stage.sentinel("hooks", "status", "claude", "--json").stdout)
    assert [(one["installed"], one["trusted"], one["event"]) for one in status] == [(True, True, "SessionEnd")]
