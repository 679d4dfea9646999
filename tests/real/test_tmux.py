"""What closed tmux sessions leave, on real servers of their own sockets."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from tests.handlers.room import becomes
from tests.lab.stage import alive, until
from tests.real.conftest import owned

pytestmark = pytest.mark.real


class Server:
    """A tmux server with one pane, in which the same things run every time."""

    def __init__(self, stage, name):
        self.stage, self.name = stage, name
        self.socket = stage.home / f"{name}.sock"
        self.tmux("new-session", "-d", "-s", "work", "-x", "80", "-y", "24", "env PS1='$ ' bash --norc")
        self.pid = int(self.tmux("display-message", "-p", "#{pid}").strip())

    def tmux(self, *words):
        done = self.stage.run("tmux", "-S", self.socket, "-f", "/dev/null", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def type(self, line):
        self.tmux("send-keys", "-t", "work", line, "Enter")

    def job(self, name, command, after="true"):
        """Start a background job in the pane's shell, and return its pid."""
        self.type(f"{command} & {after}; echo $! > {self.stage.home}/{self.name}-{name}")
        pid = self.stage.pid(f"{self.name}-{name}")
        becomes(pid, "python3" if command.startswith("python3") else "sleep")  # before, it ignores nothing
        return pid

    def pane(self):
        return int(self.tmux("list-panes", "-s", "-F", "#{pane_pid}").strip())


@pytest.fixture
def server(stage):
    stage.agent()
    return Server(stage, "mine")


CLOSE = {
    "kill-server": lambda s: s.tmux("kill-server"),
    "kill-session": lambda s: s.tmux("kill-session", "-t", "work"),
    "SIGTERM of the server": lambda s: s.stage.kill(s.pid, signal.SIGTERM),
    "SIGKILL of the server": lambda s: s.stage.kill(s.pid),
}


@pytest.mark.parametrize("close", CLOSE)
def test_what_a_closed_session_left_is_ended_and_what_was_meant_to_stay_is_not(stage, source, server, close):
    other = Server(stage, "other")
    stranger = other.job("job", "sleep 600")
    trapping = server.job("trap", "(trap '' HUP; exec -a sleep sleep 600)")
    # A job leads its group already, so setsid forks, and waits here: else its pid would be that of nobody.
    server.type(f"setsid --wait sh -c 'echo $$ > {stage.home}/own-session; exec sleep 600' &")
    own_session = stage.pid("own-session")
    catching = server.job("catch", "python3 -c 'import signal,time; signal.signal(1, print); time.sleep(600)'")
    nohup = server.job("nohup", "nohup sleep 600 > /dev/null 2>&1 < /dev/null")
    disowned = server.job("disown", "sleep 600", after="disown")
    owned(stage, trapping, own_session, catching, nohup, disowned, stranger)
    CLOSE[close](server)
    # A sample may show it without its parent while the session still lives: then it may have left on purpose.
    left = (trapping, catching, *([own_session] if source == "connector" else []))
    until(lambda: not any(map(alive, left)), "the end of what was left")
    assert alive(nohup)
    assert alive(disowned)
    assert alive(stranger)
    assert alive(other.pid)
    assert other.tmux("list-sessions")
    if close != "kill-session":
        until(lambda: not alive(server.pid), "the server's end")
        until(lambda: not os.path.lexists(server.socket), "its dead socket being removed")
    assert os.path.lexists(other.socket)


def test_who_types_exit_keeps_the_jobs(stage, server):
    job = server.job("job", "(trap '' HUP; exec sleep 600)")
    pane = server.pane()
    owned(stage, job, pane)
    server.type("exit")
    until(lambda: not alive(pane), "the shell's end")
    assert stage.spared("%0")[job] == "policy"
    assert alive(job)


def test_servers_that_ran_before_the_agent_are_found(stage):
    server = Server(stage, "mine")
    job = server.job("job", "(trap '' HUP; exec sleep 600)")
    stage.agent()
    owned(stage, job)
    stage.kill(server.pid)
    until(lambda: not alive(job), "its end")
    until(lambda: not os.path.lexists(server.socket), "the dead socket being removed")


def test_a_server_without_its_socket_is_no_dead_server(stage, server):
    job = server.job("job", "sleep 600")
    owned(stage, job)
    server.socket.unlink()
    until(server.socket.exists, "its being made again")  # so the agent has seen that it was gone
    assert alive(job)
    assert alive(server.pid)


def test_an_agent_that_a_pane_was_made_for_is_an_agent(stage, server):
    """Its shell makes room for it, so it was a pane first; a crash of it is an agent's."""
    program = stage.file("bin/claude")
    shutil.copy2("/usr/bin/python3", program)
    program.chmod(0o755)
    bear = "print(subprocess.Popen(['sleep', '600']).pid, file=open('child', 'w'), flush=True)"
    stage.file("agent.py", f"import subprocess, time; {bear}; time.sleep(600)")
    server.tmux("new-window", "-d", f"exec {program} agent.py")
    child = stage.pid("child")
    session = stage.watched("claude")
    assert session["session_kind"] == "agent"
    owned(stage, child)
    stage.kill(session["pid"], signal.SIGTERM)
    until(lambda: not alive(child), "the end of what it bore")
