"""``sentinel run`` and its end, with the real agent."""

from __future__ import annotations

import os
import socket
import time

import pytest

from tests.handlers.room import becomes
from tests.lab.stage import alive, until
from tests.real.conftest import POLLING, settled, write

pytestmark = pytest.mark.real


@pytest.mark.parametrize("victim", ["command", "wrapper"])
def test_whatever_a_killed_session_left_is_ended_and_a_stranger_lives(stage, victim):
    bystander = stage.start("bash", "-c", "exec -a leftover sleep 600")
    stage.agent()
    script = f"""
        (exec -a leftover sleep 600) & {write("plain")}
        setsid bash -c 'exec -a leftover sleep 600' & {write("setsid")}
        bash -c 'bash -c "echo \\$\\$ > inner; exec sleep 600"; true' & {write("wrapper")}
        echo $$ > command; exec sleep 600"""
    wrapper = stage.start_run("api", script)
    left = settled(stage, "plain", "setsid", "wrapper", "inner")
    command = stage.pid("command")
    stage.kill(command if victim == "command" else wrapper.pid)
    until(lambda: not any(alive(pid) for pid in [*left, command]), "their end")
    assert alive(bystander.pid)
    outcomes = stage.record("cleanup.done", "api")["data"]["outcomes"]
    assert {o["result"] for o in outcomes} <= {"ended", "gone"}
    assert stage.record("session.died", "api")["data"]["death"]["signal"] in {"SIGKILL", None}
    assert "ended" in stage.sentinel("explain", str(left[0])).stdout


def test_a_port_is_free_again(stage):
    stage.agent()
    script = f"python3 -m http.server 0 --bind 127.0.0.1 > http.log 2>&1 & {write('http')}; exec sleep 600"
    wrapper = stage.start_run("api", script)
    (server,) = settled(stage, "http")

    def port():
        from sentinel.observe.ports import ports_of

        return (ports_of([server]).get(server) or [None])[0]

    taken = until(port, "the server listening")
    stage.kill(wrapper.pid)
    until(lambda: not alive(server), "its end")
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", taken))


def test_a_node_server_is_ended(stage):
    if stage.run("node", "--version").returncode != 0:
        pytest.skip("missing: nodejs")
    stage.agent()
    code = "require('http').createServer(() => {}).listen(0, '127.0.0.1')"
    wrapper = stage.start_run("api", f'sh -c "node -e \\"{code}\\"; true" & {write("shell")}; exec sleep 600')
    (shell,) = settled(stage, "shell")
    node = until(lambda: [p for p in stage.everyone() if os.path.realpath(f"/proc/{p}/exe").endswith("node")], "node")
    stage.kill(wrapper.pid)
    until(lambda: not any(alive(pid) for pid in [shell, *node]), "their end")


def test_what_does_not_obey_is_killed_after_the_grace(stage, source):
    stage.configure((POLLING if source == "polling" else "") + "[policy.run]\ngrace = 0.5\n")
    stage.agent()
    stubborn = 'import signal, time; signal.signal(15, signal.SIG_IGN); open("deaf", "w"); time.sleep(600)'
    wrapper = stage.start_run("api", f"python3 -c '{stubborn}' & {write('stubborn')}; exec sleep 600")
    (pid,) = settled(stage, "stubborn")
    until((stage.home / "deaf").exists, "the actor's own start")
    stage.kill(wrapper.pid)
    until(lambda: not alive(pid), "its end")
    results = {o["target"]: o["result"] for o in stage.record("cleanup.done", "api")["data"]["outcomes"]}
    assert next(result for target, result in results.items() if target.startswith(f"{pid}@")) == "killed"


DAEMON = """
import os, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
null = os.open(os.devnull, os.O_RDWR)
for fd in 0, 1, 2: os.dup2(null, fd)
open("daemon.tmp", "w").write(str(os.getpid())); os.rename("daemon.tmp", "daemon")
os.chdir("/")
os.execve("/bin/sleep", ["sleep", "600"], {})
"""


@pytest.mark.parametrize("wish", ["spare", "end"])
def test_daemons_are_spared_or_ended_as_the_person_wishes(stage, source, wish):
    stage.configure((POLLING if source == "polling" else "") + f'[policy.run]\ndaemons = "{wish}"\n')
    stage.agent()
    stage.file("daemon.py", DAEMON)
    wrapper = stage.start_run("api", "python3 daemon.py; setsid sleep 600 </dev/null >/dev/null 2>&1 & exec sleep 600")
    # The second child of a double fork lives with our subreaper between two samples.
    (daemon,) = settled(stage, "daemon")
    time.sleep(2.2)  # beyond the time in which parents die with their session
    stage.kill(wrapper.pid)
    if wish == "end":
        until(lambda: not alive(daemon), "its end")
    else:
        assert stage.spared("api")[daemon] == "daemonised"
        assert alive(daemon)
        assert "daemonised on purpose" in stage.sentinel("explain", str(daemon)).stdout


def test_nohup_is_heeded(stage):
    stage.agent()
    wrapper = stage.start_run("api", f"nohup sleep 600 >/dev/null 2>&1 </dev/null & {write('kept')}; exec sleep 600")
    (kept,) = settled(stage, "kept")
    becomes(kept, "sleep")  # before, it ignores no hang-up
    stage.kill(wrapper.pid)
    assert stage.spared("api")[kept] == "nohup"
    assert alive(kept)


def test_in_observe_mode_nothing_is_ended(stage, source):
    stage.configure('mode = "observe"\n' + (POLLING if source == "polling" else ""))
    stage.agent()
    wrapper = stage.start_run("api", f"sleep 600 & {write('left')}; exec sleep 600")
    (left,) = settled(stage, "left")
    stage.kill(wrapper.pid)
    stage.record("session.closed" if not alive(left) else "session.judged", "api")
    time.sleep(0.5)
    assert alive(left)
    assert not stage.journal("action.intended")


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9), ("kill -15 $$", -15)])
def test_the_exit_status_is_the_commands(stage, script, status):
    stage.agent()
    assert stage.start_run("api", script).wait(timeout=30) == status


@pytest.mark.parametrize(("command", "status"), [("no-such-command-here", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_run_is_said_as_shells_say_it(stage, command, status):
    done = stage.sentinel("run", "--", command)
    assert done.returncode == status
    assert done.stderr.startswith("sentinel: cannot run")


def test_without_an_agent_the_wrapper_cleans_up_itself(stage):
    done = stage.sentinel("run", "--name", "alone", "--", "bash", "-c", f"sleep 600 & {write('left')}; exit 5")
    assert done.returncode == 5
    assert not alive(stage.pid("left"))
    assert "1 process ended" in done.stderr
