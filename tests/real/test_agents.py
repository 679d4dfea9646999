"""Coding agents: what they bore is ended when they die, and nothing that is somebody else's."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from tests.handlers.room import becomes
from tests.lab.stage import alive, until
from tests.real.conftest import owned

pytestmark = pytest.mark.real

AGENT = """
import os, subprocess, sys, time
def bear(name, *command, **options):
    child = subprocess.Popen(command, **options)
    open(name + ".tmp", "w").write(str(child.pid))
    os.rename(name + ".tmp", name)
    return child
quiet = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
# What speaks to it through pipes, behind a shell, as an MCP server that `npx` started does.
bear("wrapper", "sh", "-c", "node server.js; true", **quiet)
bear("tool", "bash", "-c", "sleep 601 & echo $! > job; exit 0", start_new_session=True).wait()
bear("tmux", "tmux", "-S", "mine.sock", "-f", "/dev/null", "new-session", "-d", "sleep 602").wait()
if len(sys.argv) > 1:
    os.chdir("inner")
    bear("agent", sys.argv[1], "../agent.py")
time.sleep(600)
"""
SERVER = """
require("fs").writeFileSync("server.tmp", String(process.pid));
require("fs").renameSync("server.tmp", "server");
process.stdin.on("data", () => {});
setInterval(() => {}, 1000);
"""


@pytest.fixture
def claude(stage):
    """A program that is called claude: a copy of an interpreter, for it is the file that counts."""
    if shutil.which("node") is None:
        pytest.skip("missing: nodejs")
    program = stage.file("bin/claude")
    shutil.copy2("/usr/bin/python3", program)
    program.chmod(0o755)
    stage.file("agent.py", AGENT)
    stage.file("server.js", SERVER)
    return str(program)


class CodingAgent:
    """A running agent, and what it bore: its server behind a shell, a tool's job, a tmux server."""

    def __init__(self, stage, source, process, directory="."):
        self.stage, self.process, self.pid = stage, process, process.pid
        self._directory = directory
        self.wrapper, self.server, self.job = map(self._pid, ("wrapper", "server", "job"))
        self._pid("tmux")
        self.tmux, self.pane = map(int, until(self._ask_tmux, "tmux").split())
        # A job whose shell ended between two samples was seen under nobody: then it is nobody's.
        self.born = [self.wrapper, self.server, *([self.job] if source == "connector" else [])]
        owned(stage, *self.born, self.pane)

    def _pid(self, name):
        return self.stage.pid(f"{self._directory}/{name}")

    def _ask_tmux(self):
        socket = self.stage.home / self._directory / "mine.sock"
        return self.stage.run("tmux", "-S", socket, "display-message", "-p", "#{pid} #{pane_pid}").stdout

    def living(self):
        """Which of its own live."""
        return [pid for pid in (self.pid, *self.born) if alive(pid)]


@pytest.fixture
def start(stage, source, claude):
    """Starts a coding agent in a directory of its own, and waits until all of it is known."""

    def start(directory=".", *words):
        stage.file(f"{directory}/server.js", SERVER)
        process = stage.start("env", "-C", str(stage.home / directory), claude, stage.home / "agent.py", *words)
        return CodingAgent(stage, source, process, directory)

    return start


def cleaned_up(stage, source, name):
    """Wait until all that a dead agent left was answered for.

    A sample may show the shell of its job while that lives, for some milliseconds: then the job is known, and
    spared as one that left its parent on purpose, and the session is not closed.
    """
    stage.record("session.closed" if source == "connector" else "cleanup.done", name)


def test_a_killed_agent_leaves_nothing_but_its_tmux_server(stage, source, start):
    bystander = stage.start("bash", "-c", "exec -a claude-like sleep 600")
    stage.agent()
    agent = start()
    stage.kill(agent.pid)
    until(lambda: not agent.living(), "the end of what it bore")
    session = stage.record("session.died", "claude")["data"]["session"]
    assert session["kind"] == "agent"
    outcomes = stage.record("cleanup.done", "claude")["data"]["outcomes"]
    assert {int(o["target"].split("@")[0]) for o in outcomes} >= {agent.server}
    assert {o["result"] for o in outcomes} <= {"ended", "gone"}
    cleaned_up(stage, source, "claude")
    assert alive(agent.tmux)
    assert alive(agent.pane)
    assert alive(bystander.pid)


def test_two_agents_side_by_side(stage, source, start):
    stage.agent()
    first, second = start("one"), start("two")
    stage.kill(first.pid)
    until(lambda: not first.living(), "the end of what it bore")
    cleaned_up(stage, source, "claude")
    assert second.living() == [second.pid, *second.born]
    assert alive(first.pane)


def test_of_two_nested_agents_the_inner_one_dies_alone(stage, source, start, inner):
    stage.agent()
    outer = start(".", *inner)
    nested = inner_agent(stage, source)
    stage.kill(nested.pid)
    until(lambda: not nested.living(), "the end of what the inner one bore")
    cleaned_up(stage, source, "codex")
    assert outer.living() == [outer.pid, *outer.born]


def test_when_the_outer_agent_dies_the_inner_one_lives(stage, source, start, inner):
    """It is a session of its own: whoever ends it, is not us."""
    stage.agent()
    outer = start(".", *inner)
    nested = inner_agent(stage, source)
    stage.kill(outer.pid)
    until(lambda: not outer.living(), "the end of what the outer one bore")
    stage.record("cleanup.done", "claude")
    assert nested.living() == [nested.pid, *nested.born]


@pytest.fixture
def inner(stage, claude):
    """What the outer agent is told to start as another one: words for its command line."""
    program = stage.file("bin/codex")
    shutil.copy2(claude, program)
    program.chmod(0o755)
    stage.file("inner/server.js", SERVER)
    return (program,)


def inner_agent(stage, source):
    """The inner agent, once all of it is known."""
    session = stage.watched("codex")
    return CodingAgent(stage, source, SimpleNamespace(pid=session["pid"]), "inner")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("sleep", ("bash", "-c", "exec -a 'vim notes-claude.md' sleep 600")),
        ("bash", ("bash", "-c", "sleep 600; claude x")),
        ("python3", ("python3", "-c", "import time; time.sleep(600)", "claude")),
        ("sleep", ("bash", "-c", "exec -a claude-desktop sleep 600")),
    ],
)
def test_words_make_no_agent(stage, program, words):
    stage.agent()
    process = stage.start(*words)
    becomes(process.pid, program)
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
    owned(stage, server)
    assert stage.record("session.opened", "claude")["data"]["how"] == "found"
    stage.kill(process.pid)
    until(lambda: not alive(server), "its end")
