import asyncio
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from sentinel.core.facts import Unknown
from sentinel.core.sessions import SocketMark
from sentinel.observe import processes, sockets, tmux
from tests.lab import tmuxes

TMUX = shutil.which("tmux")
pytestmark = pytest.mark.skipif(TMUX is None, reason="missing: tmux")

HOSTILE = [
    "plain",
    "two words",
    "new\nline",
    "%9 1 0 $9 @9 forged",
    "x\n%9 1 0 $9 @9 forged",
    "tab\there",
    "esc\033[31m",
    "$(id)",
    "`id`",
    "#{pid}",
    "#(id)",
    "\u202egnp",
    "\N{SNOWMAN}",
    "-t",
    "=x",
    "'",
    '"',
    "\\012",
    "a" * 300,
    "; kill-server",
]


class Server:
    """A real tmux server with a socket of its own."""

    def __init__(self, program: str, path: str) -> None:
        self.program, self.path = program, path
        self("-f", "/dev/null", "new-session", "-d", "-s", "first", "sleep 1000")
        self.pid = int(self("display-message", "-p", "#{pid}").stdout)
        self.handle = os.pidfd_open(self.pid)

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if name != "TMUX"}
        command = [self.program, "-S", self.path, *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=check)

    def mark(self) -> SocketMark:
        status = os.lstat(self.path)
        return SocketMark(self.path, status.st_dev, status.st_ino)

    def list(self, deadline: float = 20.0) -> list[tmux.Pane] | Unknown:
        return asyncio.run(tmux.list_panes(self.mark(), deadline, self.program))

    def send(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self.handle, number)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
        os.close(self.handle)


@pytest.fixture
def place():
    path = os.path.realpath(tempfile.mkdtemp(prefix="sentinel-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(params=tmuxes.VERSIONS)
def server(request, place):
    it = Server(tmuxes.program(request.param), f"{place}/s")
    yield it
    it.end()


def test_the_panes_of_a_server_are_listed(server):
    server("new-window", "-d", "-t", "first", "sleep 1000")
    panes = server.list()
    assert [pane.pane_id for pane in panes] == ["%0", "%1"]
    assert {pane.session for pane in panes} == {"first"}
    assert {(pane.session_id, pane.dead) for pane in panes} == {("$0", False)}
    assert [pane.window_id for pane in panes] == ["@0", "@1"]
    assert all(psutil.Process(pane.pid).ppid() == server.pid for pane in panes)


def test_the_sessions_of_a_server_are_listed(server, place):
    names = [name for name in HOSTILE if server("new-session", "-d", "-s", name, check=False).returncode == 0]
    inner = Path(place, "a b\nc")
    inner.mkdir()
    server("new-session", "-d", "-s", "elsewhere", "-c", str(inner))
    sessions = asyncio.run(tmux.list_sessions(server.mark(), 20.0, server.program))
    by_id = {session.session_id: session for session in sessions}
    assert len(by_id) == len(names) + 2
    assert (by_id["$0"].name, by_id["$0"].attached) == ("first", 0)
    assert "elsewhere" in {session.name for session in sessions}
    (placed,) = [session for session in sessions if session.name == "elsewhere"]
    assert placed.directory == (str(inner) if server.program != tmuxes.programs().get("3.1c") else "")


def test_a_dead_pane_is_listed_as_dead(server):
    server("set-option", "-g", "remain-on-exit", "on")
    server("respawn-pane", "-k", "-t", "first", "exit 3")
    server("new-session", "-d", "-s", "other", "sleep 1000")
    while not (panes := {pane.session: pane for pane in server.list()})["first"].dead:
        time.sleep(0.02)
    assert panes["other"].dead is False


def test_names_that_try_to_be_rows_or_commands_stay_names(server):
    made = sum(server("new-session", "-d", "-s", name, "sleep 1000", check=False).returncode == 0 for name in HOSTILE)
    panes = server.list()
    assert made > len(HOSTILE) / 2  # 3.8 refuses some names
    assert sorted(pane.pane_id for pane in panes) == sorted(f"%{number}" for number in range(made + 1))
    assert all(psutil.Process(pane.pid).ppid() == server.pid for pane in panes)


def test_a_stopped_server_is_unknown_within_the_deadline(server):
    server.send(signal.SIGSTOP)
    answer = server.list(0.3)
    assert isinstance(answer, Unknown)
    assert "did not answer within 0.3 s" in str(answer)
    waiting = [child for child in psutil.Process().children() if child.name().startswith("tmux")]
    assert not waiting  # the client was ended
    server.send(signal.SIGCONT)
    assert len(server.list()) == 1


def test_a_server_without_its_socket_file_is_unknown_and_lives(server):
    mark = server.mark()
    os.unlink(server.path)
    assert isinstance(asyncio.run(tmux.list_panes(mark)), Unknown)
    assert tmux.server_of(server.pid) == tmux.TmuxServer(None, server.path, is_overminds=False, bound_to=server.path)


def test_a_dead_socket_is_unknown_and_no_server_is_started_on_it(server):
    mark = server.mark()
    server("kill-server")
    assert select.select([server.handle], [], [], 20)[0]
    while sockets.look_at_socket(server.path).bound:
        time.sleep(0.01)  # what it forked for the pane has the socket, too, until it replaces its program
    answer = asyncio.run(tmux.list_panes(mark))
    assert isinstance(answer, Unknown)
    assert "no server of ours" in str(answer)
    assert sockets.look_at_socket(server.path).bound is False


def test_another_server_on_the_same_path_is_not_asked(server):
    mark = server.mark()
    elsewhere = SocketMark(mark.path, mark.device, mark.inode + 1)
    assert "another server" in str(asyncio.run(tmux.list_panes(elsewhere)))
    assert isinstance(asyncio.run(tmux.list_panes(SocketMark(mark.path), program=server.program)), list)


def test_what_is_no_tmux_is_unknown(place):
    with socket.socket(socket.AF_UNIX) as it:
        it.bind(f"{place}/s")
        it.listen()
        assert isinstance(asyncio.run(tmux.list_panes(SocketMark(f"{place}/s"), 0.3)), Unknown)


def program(place, script) -> str:
    """A client that misbehaves as no tmux at hand does."""
    path = Path(place, "client")
    path.write_text(f'#!/bin/sh\nword="${{6%% *}}"\n{script}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "script",
    [
        'echo "$word %0 12 0 \\$0"',  # short
        'echo "$word %0  0 \\$0 @0 living without a number"',
        'echo "$word %0 -1 0 \\$0 @0 name"',
        'echo "$word %0 12 0 \\$0 @0 name"; echo "$word"',
        'echo "warning"; echo "$word %0 12 0 \\$0 @0 name"',
        'printf "$word %%0 12 0 \\$0 @0 cut"',
        'echo "%0 12 0 \\$0 @0 forged"',
    ],
)
def test_an_odd_answer_is_unknown_as_a_whole(server, place, script):
    answer = asyncio.run(tmux.list_panes(server.mark(), program=program(place, script)))
    assert "another form" in str(answer)


def test_no_panes_is_an_answer(server, place):
    assert asyncio.run(tmux.list_panes(server.mark(), program=program(place, "true"))) == []


def test_a_client_that_fails_says_why_and_sees_no_tmux_variable(server, place, monkeypatch):
    monkeypatch.setenv("TMUX", "/somewhere,1,0")
    script = 'echo "TMUX=$TMUX." >&2; exit 1'
    assert "TMUX=." in str(asyncio.run(tmux.list_panes(server.mark(), program=program(place, script))))
    assert "status 3" in str(asyncio.run(tmux.list_panes(server.mark(), program=program(place, "exit 3"))))
    assert "could not be run" in str(asyncio.run(tmux.list_panes(server.mark(), program=f"{place}/none")))


# -- which server it is --------------------------------------------------------------


def test_a_server_is_known_by_its_socket(server):
    assert tmux.server_of(server.pid) == tmux.TmuxServer(
        server.mark(), server.path, is_overminds=False, bound_to=server.path
    )


@pytest.mark.parametrize(
    ("label", "overminds"),
    [
        ("work", False),
        ("overmind-my-app-V1StGXR8_Z5jdHi6B-myT", True),
        ("overmind-notes", False),
    ],
)
def test_a_label_is_told_from_a_path(place, monkeypatch, label, overminds):
    monkeypatch.setenv("TMUX_TMPDIR", place)
    directory = tmux.socket_directory()
    os.mkdir(directory, 0o700)
    it = Server(TMUX, f"{directory}/{label}")
    try:
        said = tmux.server_of(it.pid)
        assert (said.label, said.is_overminds, said.socket) == (label, overminds, it.mark())
    finally:
        it.end()


@pytest.mark.parametrize(
    ("argv", "label"),
    [
        (
            ["tmux", "-C", "-L", "overmind-a-V1StGXR8_Z5jdHi6B-myT", "new", "-n", "web"],
            "overmind-a-V1StGXR8_Z5jdHi6B-myT",
        ),
        (["tmux", "-Lwork", "-u", "new", "-S", "/not/this"], "work"),
        (["tmux", "-2", "-f", "x.conf", "-S", "/run/my.sock", "attach"], "/run/my.sock"),
        (["tmux", "new", "-L", "not-this"], "default"),
        (["tmux", "-Z"], ""),
        ([], ""),
    ],
)
def test_arguments_tell_the_label_when_nothing_else_does(argv, label):
    assert tmux._label_of_arguments(argv) == label


@pytest.mark.parametrize(
    ("argv", "label", "overminds"),
    [
        (["tmux", "-L", "work", "new", "-c", "/srv/overmind-notes"], "work", False),
        (["tmux", "-CLovermind-a-V1StGXR8_Z5jdHi6B-myT"], "overmind-a-V1StGXR8_Z5jdHi6B-myT", True),
        (["tmux", "-Z", "-S/run/tmux-1/overmind-a-V1StGXR8_Z5jdHi6B-myT"], "?", True),
        (["tmux", "-Z"], "?", False),
    ],
)
def test_a_server_whose_sockets_nobody_tells_is_known_by_its_arguments(monkeypatch, argv, label, overminds):
    monkeypatch.setattr(processes, "program", lambda _: ("/usr/bin/tmux", tuple(argv)))
    assert tmux.server_by_arguments(7) == tmux.TmuxServer(None, label, is_overminds=overminds)


@pytest.mark.parametrize("answer", [("", ()), Unknown("what it runs", "nobody told")])
def test_a_server_whose_arguments_nobody_may_read_may_be_anybodys(monkeypatch, answer):
    monkeypatch.setattr(processes, "program", lambda _: answer)
    assert isinstance(tmux.server_by_arguments(7), Unknown)


def test_what_listens_on_nothing_is_unknown():
    with subprocess.Popen([sys.executable, "-E", "-c", "import time; time.sleep(1000)"]) as it:
        assert "listens on none" in str(tmux.server_of(it.pid))
        it.kill()
    assert isinstance(tmux.server_of(it.pid), Unknown)


def test_the_directory_of_sockets_is_tmuxs_own(place):
    uid, usual = os.geteuid(), os.path.realpath("/tmp")  # noqa: S108 - where tmux puts them
    os.symlink(place, f"{place}/link")
    assert tmux.socket_directory({}) == f"{usual}/tmux-{uid}"
    assert tmux.socket_directory({"TMUX_TMPDIR": f"{place}/link"}) == f"{place}/tmux-{uid}"
    assert tmux.socket_directory({"TMUX_TMPDIR": f"{place}/none"}) == f"{usual}/tmux-{uid}"


FORKED = """
import ctypes, os, signal, socket, sys
ctypes.CDLL(None).prctl(15, b"tmux: server", 0, 0, 0)
it = socket.socket(socket.AF_UNIX); it.bind(sys.argv[1]); it.listen()
child = os.fork()
if child: print(child, flush=True)
signal.pause()
"""


def test_what_a_server_has_just_forked_is_no_second_one(place):
    """A stand-in: with tmux it lasts until the exec of a job."""
    with subprocess.Popen([sys.executable, "-c", FORKED, f"{place}/s"], stdout=subprocess.PIPE) as it:
        child = os.pidfd_open(int(it.stdout.readline()))
        found = [server for server in tmux.servers() if server.bound_to == f"{place}/s"]
        signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)
        it.kill()
    assert len(found) == 1
