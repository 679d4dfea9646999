"""A line at the foot of real tmux clients."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

from sentinel.core.sessions import SocketMark
from sentinel.notify import Message, texts
from sentinel.notify.tmux import Tmux, display, line

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="missing: tmux")
PATIENCE = 10.0
TOLD = Message("Sentinel cleaned up", "claude ended: 1 process ended.\nsentinel explain x")

HOSTILE = [
    "#(touch {marker})",
    "##(touch {marker}) #{{E:#(touch {marker})}} #[fg=red]",
    "; run-shell 'touch {marker}'",
    "x;",
    "-p",
    "%H:%M %% 100%",
    "$(touch {marker}) `touch {marker}` ' \" \\",
    "\x1b[2J\x07\x9b",
    "\N{SNOWMAN} \u202e",
]


class Server:
    """A real tmux server, and clients in terminals of their own."""

    def __init__(self, path, stack):
        self.mark = SocketMark(str(path))
        self._stack = stack
        self._screens = []
        self("-f", "/dev/null", "new-session", "-d", "-x", "200", "-y", "10", "sleep 1000")
        self.pid = int(self("display-message", "-p", "#{pid}"))
        stack.callback(self.end)

    def __call__(self, *words):
        environ = {name: value for name, value in os.environ.items() if name != "TMUX"}
        command = ["tmux", "-u", "-S", self.mark.path, *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
        with contextlib.suppress(subprocess.CalledProcessError):
            self("kill-server")

    def attach(self, *options):
        """A client in a terminal; what that shows can be read with ``screen``."""
        leader, follower = pty.openpty()
        fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("4H", 10, 200, 0, 0))
        os.set_blocking(leader, False)
        environ = {**os.environ, "TERM": "xterm-256color"}
        client = subprocess.Popen(
            ["setsid", "--ctty", "tmux", "-u", "-S", self.mark.path, *options, "attach-session"],
            env=environ, stdin=follower, stdout=follower, stderr=follower,
        )  # fmt: skip
        os.close(follower)
        self._stack.callback(client.wait)
        self._stack.callback(self.end)
        self._stack.callback(os.close, leader)
        before = len(self._screens)
        self._screens.append((leader, bytearray()))
        self.until(lambda: len(self("list-clients").splitlines()) > before)
        return before

    def screen(self, number=0):
        leader, seen = self._screens[number]
        with contextlib.suppress(BlockingIOError, OSError):
            while piece := os.read(leader, 65536):
                seen += piece
        return seen.decode(errors="replace")

    @staticmethod
    def until(true):
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.ExitStack() as stack:
        yield Server(tmp_path / "s", stack)


def show(*servers, message=TOLD, deadline=PATIENCE):
    way = Tmux(lambda: [one.mark for one in servers], deadline=deadline)
    return asyncio.run(way.show(message))


def test_every_client_shows_it(server):
    first, second = server.attach(), server.attach()
    delivery = show(server)
    assert (delivery.shown, delivery.by) == (True, "tmux")
    for client in (first, second):
        said = "Sentinel cleaned up: claude ended: 1 process ended.  sentinel explain x"
        server.until(lambda client=client, said=said: said in server.screen(client))


def test_the_short_form_is_what_is_shown_where_there_is_one(server):
    server.attach()
    short = Message(TOLD.title, TOLD.body, short="Sentinel: claude died; sentinel explain x")
    assert show(server, message=short).shown
    server.until(lambda: short.short in server.screen())
    assert TOLD.title not in server.screen()


def test_where_nobody_is_attached_it_is_not_shown(server):
    assert show(server).why == "no client is attached"


def test_a_client_that_draws_tmux_itself_has_no_such_line(server):
    server.attach("-C")
    assert show(server).why == "no client is attached"


def test_where_no_server_runs_it_is_not_tried():
    assert Tmux(list, deadline=1).obstacle() == "no tmux server runs"
    assert Tmux(lambda: [SocketMark("/run/none")], deadline=1).obstacle() == ""


def test_a_socket_on_which_nobody_listens_is_asked_nothing(tmp_path):
    delivery = asyncio.run(Tmux(lambda: [SocketMark(str(tmp_path / "none"))], deadline=1).show(TOLD))
    assert (delivery.shown, delivery.why) == (False, "the socket is not there")


def test_a_server_that_hangs_costs_the_deadline_and_the_others_are_told(server, tmp_path):
    with contextlib.ExitStack() as stack:
        hung = Server(tmp_path / "h", stack)
        hung.attach()
        server.attach()
        os.kill(hung.pid, signal.SIGSTOP)
        assert any(show(hung, server, deadline=deadline).shown for deadline in (1.0, 4.0))  # the other may be slow
        assert show(hung, deadline=0.5).why == "the server did not answer within 0.5 s"


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_obeyed(server, tmp_path, text):
    marker = tmp_path / "obeyed"
    server.attach()
    message = Message("Sentinel", text.format(marker=marker))
    assert show(server, message=message).shown
    shown = f"Sentinel: {texts.body(message.body)}".replace("#", "\N{FULLWIDTH NUMBER SIGN}")[:80]
    server.until(lambda: shown in server.screen())
    server("run-shell", "sleep .3")  # a `#(...)` would have been started before, and mostly be done by now
    assert not marker.exists()


def test_a_semicolon_at_the_end_ends_no_command():
    assert line(Message("Sentinel", "x;")) == "Sentinel: x\\;"
    assert display("/dev/pts/1", "x")[-2:] == ["--", "x"]
