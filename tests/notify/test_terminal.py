"""The terminal's own notifications, seen from the other end of a pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import threading

import pytest

from sentinel.notify import Delivery, Message
from sentinel.notify.terminal import Terminal, sequence

ITERM = {"TERM_PROGRAM": "iTerm.app", "TERM": "xterm-256color"}
FOOT = {"TERM": "foot-extra"}
TOLD = Message("Sentinel", "claude died.\nsentinel explain x")

SHOW = """
import asyncio, os, sys
from sentinel.notify import Message
from sentinel.notify.terminal import Terminal
if sys.argv[1] == "background":
    if os.fork():
        os.wait()
        sys.exit()
    os.setpgid(0, 0)
print(asyncio.run(Terminal({"TERM": "foot"}).show(Message("Sentinel", "hello"))), flush=True)
"""


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        (ITERM, ""),
        (FOOT, ""),
        ({"TERM": "xterm-kitty"}, ""),
        ({"TERM": "xterm-256color"}, "this is no terminal that is known to show notifications"),
        ({}, "this is no terminal that is known to show notifications"),
        (ITERM | {"TMUX": "/run/tmux,1,0"}, "the terminal is tmux's"),
    ],
)
def test_only_terminals_that_are_known_for_it_are_asked(environ, why):
    assert Terminal(environ).obstacle() == why


def test_one_understands_one_code_and_one_the_other():
    assert sequence(9, TOLD) == b"\x1b]9;Sentinel: claude died.  sentinel explain x\x07"
    assert sequence(777, TOLD) == b"\x1b]777;notify;Sentinel;claude died.  sentinel explain x\x07"


@pytest.mark.parametrize("code", [9, 777])
def test_no_text_ends_the_sequence_or_begins_another(code):
    said = sequence(code, Message("Sentinel: a;b\x07\x1b]0;x", "\x1b\\\x9c\x07\n\x1b[2J;z"))
    assert (said.count(b"\x1b"), said.count(b"\x07"), said.count(b"\x9c")) == (1, 1, 0)
    assert said.count(b"\n") == 0
    if code == 777:
        assert said.split(b";", 3)[2] == b"Sentinel: a,b\\x07\\x1b]0,x"


def in_a_terminal(where):
    """Run the way in a terminal of its own; what that terminal shows."""
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen:
        command = ["setsid", "--ctty", "--wait", sys.executable, "-c", SHOW, where]
        with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower) as process:
            os.close(follower)
            reader = threading.Timer(30, process.kill)  # a bound against hanging, no measure
            reader.start()
            shown = b""
            try:
                while piece := screen.read(4096):
                    shown += piece
            except OSError:  # EIO: nobody holds the other end any more
                pass
            reader.cancel()
    return shown


def test_a_terminal_gets_it_from_its_foreground():
    assert in_a_terminal("foreground") == b"\x1b]777;notify;Sentinel;hello\x07shown by terminal (OSC 777)\r\n"


def test_nothing_is_written_from_the_background():
    assert in_a_terminal("background") == b"not delivered: Sentinel runs in the background of its terminal\r\n"


def test_without_a_terminal_it_says_so(tmp_path):
    delivery = asyncio.run(Terminal(FOOT, str(tmp_path / "none")).show(TOLD))
    assert delivery == Delivery(shown=False, why="Sentinel has no terminal: No such file or directory")
