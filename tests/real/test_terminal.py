"""``sentinel run`` in a real terminal, which is the command's."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from sentinel.observe.ports import ports_of
from tests.handlers.room import becomes
from tests.lab.stage import alive, interpreter, until
from tests.real.conftest import POLLING, settled, write

pytestmark = pytest.mark.real


def run(name, script):
    return [*interpreter(), "run", "--name", name, "--", "bash", "-c", script]


def state(pid):
    """The kernel's letter for what a process does."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def test_ctrl_c_goes_to_the_command_which_alone_decides(stage, terminal):
    stage.agent()
    script = (
        f"trap 'echo caught' INT; test -t 0 -a -t 1 && echo tty; sleep 600 & {write('left')}; while :; do wait; done"
    )
    window = terminal(*run("api", script))
    (left,) = settled(stage, "left")
    window.shows("tty")
    window.type("\x03")
    window.shows("caught")
    assert window.process.poll() is None
    assert alive(left)
    assert not stage.journal("session.died")


def test_a_command_that_ctrl_c_ends_is_seen_to_have_ended_so(stage, terminal):
    stage.agent()
    window = terminal("bash", "--norc", "-i")
    words = " ".join(interpreter())
    window.type(f"{words} run --name api -- sleep 600\n")
    stage.watched("api")
    window.type("\x03")
    window.type("echo status=$?\n")  # bash forgets the rest of a line whose program Ctrl-C ended
    window.shows("status=130")
    assert stage.record("session.died", "api")["data"]["death"]["signal"] in {signal.SIGINT.name, None}


def test_who_stops_a_command_and_goes_on_with_it_finds_it_as_it_was(stage, terminal):
    """Ctrl-Z, ``fg``: the shell's job control works through the wrapper, and stopped is not dead."""
    stage.agent()
    window = terminal("bash", "--norc", "-i")
    script = stage.file("job.sh", f"sleep 600 & {write('left')}; echo $$ > command; exec cat > typed\n")
    window.type(f"{' '.join(interpreter())} run --name api -- bash {script}\n")
    (left,) = settled(stage, "left")
    session, command = stage.watched("api"), stage.pid("command")
    window.type("\x1a")
    until(lambda: state(session["pid"]) == state(command) == "T", "both being stopped")
    window.shows("Stopped")
    assert alive(left)
    window.type("fg\n")
    until(lambda: state(command) != "T", "the command going on")
    window.type("hello\n\x04")
    until(lambda: not alive(session["pid"]) and not alive(left), "the end of it all")
    assert (stage.home / "typed").read_text() == "hello\n"
    assert stage.record("session.died", "api")["data"]["death"]["code"] in {0, None}


def test_the_closed_terminal_takes_everything_with_it(stage, source, terminal):
    """The server that ignores the hang-up, and even the one that ignores being asked."""
    stage.configure((POLLING if source == "polling" else "") + "[policy.run]\ngrace = 0.5\n")
    bystander = stage.start("bash", "-c", "exec -a leftover sleep 600")
    stage.agent()
    window = terminal(
        *run(
            "api",
            f"""
            (trap '' HUP; exec -a leftover python3 -m http.server 0 --bind 127.0.0.1) & {write("server")}
            (trap '' HUP TERM; exec -a leftover sleep 600) & {write("stubborn")}
            setsid bash -c 'exec -a leftover sleep 600' & {write("setsid")}
            nohup sleep 600 > /dev/null 2>&1 < /dev/null & {write("nohup")}
            exec sleep 600""",
        )
    )
    *left, kept = settled(stage, "server", "stubborn", "setsid", "nohup")
    server, stubborn, _ = left
    for pid in (stubborn, kept):
        becomes(pid, "sleep")  # before, it ignores nothing
    port = until(lambda: (ports_of([server]) or {}).get(server), "the server listening")[0]
    window.close()
    until(lambda: not any(map(alive, [window.pid, *left])), "the end of what it left")
    assert alive(kept)
    assert alive(bystander.pid)
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", port))
    outcomes = {o["target"].split("@")[0]: o["result"] for o in stage.record("cleanup.done", "api")["data"]["outcomes"]}
    assert outcomes[str(server)] == "ended"
    assert outcomes[str(stubborn)] == "killed"
    assert stage.spared("api")[kept] == "nohup"
    assert stage.record("session.died", "api")["data"]["death"]["signal"] in {signal.SIGHUP.name, None}


@pytest.mark.parametrize("source", ["connector"], indirect=True)  # a terminal is a terminal
def test_an_agent_goes_with_its_terminal_though_nobody_passes_the_hang_up_on(stage, terminal):
    """As below `make run` in a window of its own: make leads the terminal's session, and waits."""
    window = terminal("sh", "-c", f"trap : HUP; {' '.join(interpreter())} agent; true")
    until(lambda: stage.sentinel("status").returncode == 0, "its start")
    window.type("typed, and read by nobody\n")
    assert stage.sentinel("status").returncode == 0
    window.close()
    until(lambda: stage.journal("agent.stopped"), "its end")
    until(lambda: not alive(window.pid), "the end of who waits for it")
    assert stage.journal("agent.stopped")[0]["data"]["why"] == "its terminal is gone"


@pytest.mark.parametrize("source", ["connector"], indirect=True)
def test_an_agent_in_the_background_of_its_terminal_stays(stage, terminal):
    window = terminal("sh", "-c", f"trap : HUP; set -m; {' '.join(interpreter())} agent & wait; wait; sleep 600")
    until(lambda: stage.sentinel("status").returncode == 0, "its start")
    window.close()
    until(lambda: alive(window.pid) and stage.sentinel("status").returncode == 0, "it going on")
    assert not stage.journal("agent.stopped")
