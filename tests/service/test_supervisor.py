from __future__ import annotations

import os
import re
import socket
import sys

import pytest

from sentinel.service.supervisor import Supervisor


@pytest.fixture
def manager(tmp_path):
    """A manager's end of the socket, and the environment that it gives its service."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(tmp_path / "notify"))
        end.settimeout(5)
        yield end, {"NOTIFY_SOCKET": str(tmp_path / "notify")}


def said(end):
    """All that was said since the last time."""
    end.settimeout(0)
    messages = []
    while True:
        try:
            messages.append(end.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_each_word_is_one_datagram(manager):
    end, environ = manager
    supervisor = Supervisor(environ)
    assert supervisor.listens
    supervisor.ready("watching 7 sessions")
    supervisor.status("watching 8 sessions")
    supervisor.alive()
    supervisor.reloading()
    supervisor.ready("watching 8 sessions")
    supervisor.stopping()
    words = said(end)
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", words.pop(3))
    assert words == [
        "READY=1\nSTATUS=watching 7 sessions",
        "STATUS=watching 8 sessions",
        "WATCHDOG=1",
        "READY=1\nSTATUS=watching 8 sessions",
        "STOPPING=1",
    ]


def test_a_status_is_said_once(manager):
    end, environ = manager
    supervisor = Supervisor(environ)
    for _ in range(3):
        supervisor.status("idle")
    assert said(end) == ["STATUS=idle"]


def test_no_name_in_a_status_becomes_a_word_of_its_own(manager):
    end, environ = manager
    Supervisor(environ).status("watching x\nREADY=1\x1b[31m" + "y" * 500)
    (word,) = said(end)
    assert word.count("\n") == 0
    assert len(word) < 300


def test_the_abstract_namespace():
    if sys.platform != "linux":
        pytest.skip("missing: abstract sockets (Linux)")
    name = f"sentinel-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind("\0" + name)
        Supervisor({"NOTIFY_SOCKET": "@" + name}).alive()
        assert said(end) == ["WATCHDOG=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}])
def test_where_nobody_listens_nothing_is_said(environ, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    supervisor = Supervisor({**environ, "WATCHDOG_USEC": "1000000"})
    supervisor.ready("x")
    assert not supervisor.listens
    assert supervisor.watchdog == 0.0


def test_a_manager_that_is_gone_or_full_holds_nobody_up(manager, tmp_path):
    end, environ = manager
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("x")
    supervisor = Supervisor(environ)
    for number in range(100_000):  # the queue of a datagram socket is short
        supervisor.status(str(number))
    assert said(end)


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("3000000", "", 3.0), ("3000000", "42", 3.0), ("3000000", "43", 0.0), ("", "", 0.0), ("soon", "", 0.0)],
)
def test_the_watchdog_is_ours_when_it_was_set_for_us(manager, usec, pid, seconds):
    _, environ = manager
    assert Supervisor({**environ, "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}, pid=42).watchdog == seconds
