"""Coding agents: what they bore is ended when they die, and nothing that is somebody else's."""

from __future__ import annotations

import json
import shutil
import time

import pytest

from tests.lab.stage import alive, until

pytestmark = pytest.mark.real

AGENT = """
import subprocess, sys, time
def bear(name, *command, **options):
    child = subprocess.Popen(command, **options)
    open(name + ".tmp", "w").write(str(child.pid))
    __import__("os").rename(name + ".tmp", name)
    return child
quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
bear("server", "bash", "-c", "sleep 600; true", **quiet)
bear("tool", "bash", "-c", "sleep 601 & echo $! > job; exit 0", start_new_session=True).wait()
bear("tmux", "tmux", "-S", "mine.sock", "-f", "/dev/null", "new-session", "-d", "sleep 602").wait()
if len(sys.argv) > 1:
    bear("nested", "bash", "-c", "exec ./inner/claude agent.py")
time.sleep(600)
"""


@pytest.fixture
def claude(stage):
    """A program that is called claude: a copy of an interpreter, for it is the file that counts."""
    program = stage.file("bin/claude")
    shutil.copy2("/usr/bin/python3", program)
    program.chmod(0o755)
    stage.file("agent.py", AGENT)
    return str(program)


def settle(stage, *pids):
    def owned():
        shown = [json.loads(stage.sentinel("explain", str(pid), "--json").stdout) for pid in pids]
        return all("owned by" in " ".join(s.get("evidence", [])) for s in shown)

    until(owned, "the agent knowing them all")


def test_a_killed_agent_leaves_nothing_but_its_tmux_server(stage, source, claude):
    stage.agent()
    process = stage.start(claude, "agent.py")
    server, job = stage.pid("server"), stage.pid("job")
    stage.pid("tmux")
    tmux = until(
        lambda: stage.run("tmux", "-S", "mine.sock", "display-message", "-p", "#{pid} #{pane_pid}").stdout, "tmux"
    )
    tmux_server, pane = map(int, tmux.split())
    # A job whose shell ended between two samples was seen under nobody: then it is nobody's.
    born = [server, job] if source == "connector" else [server]
    settle(stage, *born, pane)
    stage.kill(process.pid)
    until(lambda: not any(alive(pid) for pid in born), "the end of what it bore")
    time.sleep(0.3)
    assert alive(tmux_server)
    assert alive(pane)
    assert stage.record("session.died", "claude")["data"]["session"]["kind"] == "agent"


def test_two_agents_side_by_side(stage, claude):
    stage.agent()
    stage.file("two/agent.py", AGENT)
    first = stage.start(claude, "agent.py")
    second = stage.start("env", "-C", str(stage.home / "two"), claude, "agent.py")
    mine, others = stage.pid("server"), stage.pid("two/server")
    settle(stage, mine, others)
    stage.kill(first.pid)
    until(lambda: not alive(mine), "its end")
    time.sleep(0.3)
    assert alive(others)
    assert second.poll() is None


@pytest.mark.parametrize(
    "words",
    [
        ("bash", "-c", "exec -a 'vim notes-claude.md' sleep 600"),
        ("bash", "-c", "sleep 600; true", "claude"),
        ("python3", "-c", "import time; time.sleep(600)", "claude"),
        ("bash", "-c", "exec -a claude-desktop sleep 600"),
    ],
)
def test_words_make_no_agent(stage, words):
    stage.agent()
    process = stage.start(*words)
    marker = stage.sentinel("run", "--name", "marker", "--", "true")
    assert marker.returncode == 0
    stage.record("session.opened", "marker")
    assert {s["data"]["session"]["name"] for s in stage.journal("session.opened")} == {"marker"}
    assert process.poll() is None


def test_an_agent_that_ran_before_is_found(stage, claude):
    process = stage.start(claude, "agent.py")
    server = stage.pid("server")
    stage.pid("tmux")
    stage.agent()
    settle(stage, server)
    stage.kill(process.pid)
    until(lambda: not alive(server), "its end")
