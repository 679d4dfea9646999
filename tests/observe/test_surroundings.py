"""Whom a process works for: real processes, real pipes, real sockets."""

from __future__ import annotations

import ast
import contextlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel.core.facts import Surroundings, Unknown
from sentinel.observe import surroundings
from sentinel.observe.surroundings import Neighbourhood, cgroup_of, input_of
from tests.handlers.room import becomes
from tests.observe.conftest import answers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")

PUPPET = "import sys; exec(sys.argv[1]); print('ready', flush=True); import signal; signal.pause()"


@pytest.fixture
def start():
    """Starts Python with a script, and returns once that was run."""
    started = []

    def start(script="", *prefix, **more):
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **more}
        started.append(subprocess.Popen([*prefix, sys.executable, "-I", "-S", "-c", PUPPET, script], **more))
        assert started[-1].stdout.readline() == b"ready\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        for end in (process.stdin, process.stdout):
            if end is not None:
                end.close()


def around(process, *others, own_input="/dev/null"):
    """One look at a process, among those that are about to end with it."""
    with contextlib.closing(Neighbourhood()) as hood:
        return hood.around(process.pid, [process.pid, *(other.pid for other in others)], own_input)


# -- what it is --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "kept"),
    [
        ({}, False),
        ({"SENTINEL_KEEP": "1"}, True),
        ({"SENTINEL_KEEP": "yes please"}, True),
        ({"SENTINEL_KEEP": "0"}, False),
        ({"SENTINEL_KEEP": ""}, False),
        ({"SENTINEL_PROTECT": "1"}, True),
        ({"NOT_SENTINEL_KEEP": "1"}, False),
        ({"ADVICE": "say SENTINEL_KEEP=1"}, False),
        ({"SENTINEL_KEEPER": "1"}, False),
        ({"LONG": "x" * 70_000, "SENTINEL_KEEP": "1"}, True),
    ],
)
def test_its_environment_says_whether_it_is_to_be_kept(start, environment, kept):
    found = around(start(env=environment))
    assert isinstance(found, Surroundings)
    assert found.keep is kept


def test_mercy_one_that_is_to_be_kept_is_also_while_it_replaces_its_program(restless):
    """Within execve(2) the kernel shows no environment at all."""
    assert {each.keep for each in answers(lambda: around(restless), 500)} == {True}


def test_its_program_is_known_also_when_the_file_is_gone(start, tmp_path):
    program = tmp_path / "server"
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen([program, "60"], stdin=subprocess.DEVNULL)
    try:
        becomes(process.pid, "server")
        program.unlink()
        assert around(process).program == str(program)
    finally:
        process.kill()
        process.wait()


def test_who_is_gone_and_who_is_dead_tell_nothing(start):
    process = start()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert isinstance(around(process), Unknown)
    process.wait()
    assert isinstance(around(process), Unknown)
    assert input_of(process.pid) == ""
    assert cgroup_of(process.pid) == ""


def test_one_whose_first_thread_has_ended_is_seen_through_another(start):
    process = start(
        "import threading, time, ctypes, os\n"
        "def last():\n"
        "    while open('/proc/self/stat').read().rsplit(')', 1)[1].split()[0] != 'Z': time.sleep(0.01)\n"
        "    print('ready', flush=True); time.sleep(600)\n"
        "threading.Thread(target=last).start()\n"
        "ctypes.CDLL(None).syscall(60, 0)",  # exit(2): of the thread, not of the process (x86-64)
        env={"SENTINEL_KEEP": "1"},
    )
    assert around(process).keep


# -- what it holds ------------------------------------------------------------------------


LISTEN = "import socket, os; s = socket.create_server(('127.0.0.1', 0)); port = s.getsockname()[1]\n"


@pytest.mark.parametrize(
    "where",
    [
        "",  # the first that is free: all are asked for by number
        "os.dup2(s.fileno(), 200); s.close()",  # there is a hole before it
        "os.close(0); os.dup2(s.fileno(), 0); s.close()",
        "[os.dup(1) for _ in range(20)]; os.dup2(s.fileno(), 99); s.close()",  # more than are asked for by number
    ],
)
def test_a_port_is_found_at_whatever_descriptor_it_is(start, tmp_path, where):
    process = start(f"{LISTEN}open({str(tmp_path / 'port')!r}, 'w').write(str(port))\n{where}")
    assert around(process).ports == (int((tmp_path / "port").read_text()),)


def test_who_has_no_socket_has_no_client(start):
    assert around(start()).clients == ()


def test_a_client_counts_when_it_is_none_of_those_about_to_end(start, tmp_path):
    path = str(tmp_path / "s")
    server = start(f"import socket; s = socket.socket(socket.AF_UNIX); s.bind({path!r}); s.listen()")
    assert around(server).clients == ()
    client = start(f"import socket; c = socket.socket(socket.AF_UNIX); c.connect({path!r})")
    assert around(server).clients == (f"a process that waits at its socket {path}",)
    assert around(server, client).clients == ()


SERVER = """
import socket, sys
opened = [socket.socket(socket.{family})]
opened[0].bind({address!r})
opened[0].listen()
print("ready", flush=True)
for asked in sys.stdin:
    opened.append(socket.socket() if asked == "open\\n" else opened[0].accept())
    print(repr(opened[0].getsockname()), flush=True)
"""


def tell(process, word):
    """Have a process do something, and wait until it is done."""
    process.stdin.write(word)
    process.stdin.flush()
    return process.stdout.readline()


def at_each_look(monkeypatch, process, word, looks):
    """Have a process do something right after each of the first looks at what it holds."""
    real, seen = surroundings._hold, []

    def hold(pid):
        held = real(pid)
        if pid == process.pid and len(seen) < looks:
            seen.append(tell(process, word))
        return held

    monkeypatch.setattr(surroundings, "_hold", hold)
    return seen


@pytest.mark.parametrize("family", ["AF_UNIX", "AF_INET"])
def test_mercy_a_call_that_is_taken_within_the_look_is_seen(start, tmp_path, monkeypatch, family):
    """Of one among a hundred, which served somebody at every moment, every second look was wrong."""
    address = str(tmp_path / "s") if family == "AF_UNIX" else ("127.0.0.1", 0)
    server = start(SERVER.format(family=family, address=address), stdin=subprocess.PIPE)
    address = ast.literal_eval(tell(server, b"open\n").decode())
    with socket.socket(getattr(socket, family)) as client:
        client.connect(address)
        seen = at_each_look(monkeypatch, server, b"take\n", 1)
        found = around(server)
    assert isinstance(found, Surroundings)
    assert (len(found.clients), len(seen)) == (1, 1)


def test_who_takes_calls_faster_than_it_can_be_looked_at_may_serve_somebody(start, tmp_path, monkeypatch):
    server = start(SERVER.format(family="AF_UNIX", address=str(tmp_path / "s")), stdin=subprocess.PIPE)
    at_each_look(monkeypatch, server, b"open\n", 99)
    assert isinstance(around(server), Unknown)


def test_who_cannot_be_called_opens_sockets_for_nobody(start, tmp_path, monkeypatch):
    without = SERVER.replace("opened[0].listen()", "")
    caller = start(without.format(family="AF_UNIX", address=str(tmp_path / "s")), stdin=subprocess.PIPE)
    seen = at_each_look(monkeypatch, caller, b"open\n", 99)
    found = around(caller)
    assert isinstance(found, Surroundings)
    assert found.clients == ()
    assert 1 < len(seen) < 99


# -- who feeds it -------------------------------------------------------------------------


def test_who_holds_the_other_end_of_its_input_feeds_it(start):
    process = start(stdin=subprocess.PIPE)
    assert around(process).feeder == "whoever writes into the pipe at its input"


def test_what_the_session_itself_has_at_its_input_feeds_nobody(start):
    process = start(stdin=subprocess.PIPE)
    assert around(process, own_input=input_of(process.pid)).feeder == ""


def test_a_writer_that_ends_with_it_feeds_nobody(start):
    reading, writing = os.pipe()
    process, writer = start(stdin=reading), start(pass_fds=[writing])
    os.close(reading)
    os.close(writing)
    assert around(process, writer).feeder == ""
    assert around(process).feeder == "whoever writes into the pipe at its input"


def test_who_only_reads_the_same_pipe_feeds_nobody(start):
    reading, writing = os.pipe()
    process, reader = start(stdin=reading), start(pass_fds=[reading])
    os.close(reading)
    assert around(process, reader).feeder  # we write
    os.close(writing)
    assert around(process, reader).feeder == ""


def test_an_input_that_has_come_to_its_end_feeds_nobody(start):
    process = start(stdin=subprocess.PIPE)
    process.stdin.close()
    assert around(process).feeder == ""


def test_who_may_write_into_a_named_pipe_nobody_can_tell(start, tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    assert around(start(stdin=fd)).feeder == f"whoever may write into {path}"
    os.close(fd)


def test_the_other_end_of_a_socket_feeds_it_while_it_lives_outside(start):
    ours, its = socket.socketpair()
    process = start(stdin=its.fileno())
    its.close()
    assert around(process).feeder == "the process at the other end of its input"
    ours.close()
    assert around(process).feeder == ""


@pytest.mark.parametrize("path", ["/dev/null", __file__])
def test_a_file_feeds_nobody(start, path):
    with Path(path).open("rb") as file:
        assert around(start(stdin=file), own_input="").feeder == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="missing: root (to make a network namespace)")
def test_of_sockets_in_another_network_nobody_can_tell(start):
    process = start(LISTEN, "unshare", "--net")
    assert isinstance(around(process), Unknown)


# -- where nobody can tell ----------------------------------------------------------------


def test_elsewhere_than_on_linux_nobody_can_tell(start, monkeypatch):
    process = start()
    monkeypatch.setattr(surroundings.sys, "platform", "darwin")
    assert isinstance(around(process), Unknown)
