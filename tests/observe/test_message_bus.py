"""Asking a real message bus, and things that only look like one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time

import pytest

from sentinel.core.facts import Unknown
from sentinel.observe.message_bus import serves

BUS = "org.freedesktop.DBus"


@pytest.fixture
def bus():
    """The address of a real bus."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("missing: dbus-daemon")
    command = ["dbus-daemon", "--session", "--nofork", "--print-address"]
    daemon = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    yield daemon.stdout.readline().strip()
    daemon.terminate()
    daemon.communicate()


def test_a_bus_tells_who_is_there_and_who_is_not(bus):
    assert serves(bus, BUS) is True
    assert serves(bus, "org.example.Nobody") is False
    assert serves(f"tcp:host=localhost,port=1;{bus}", BUS) is True


def test_whoever_would_be_started_counts(bus, tmp_path):
    services = tmp_path / "dbus-1" / "services"
    services.mkdir(parents=True)
    (services / "x.service").write_text("[D-BUS Service]\nName=org.example.Sleeper\nExec=/bin/false\n")
    command = ["dbus-daemon", "--session", "--nofork", "--print-address"]
    environ = {**os.environ, "XDG_DATA_DIRS": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environ) as daemon:
        address = daemon.stdout.readline().strip()
        assert serves(address, "org.example.Sleeper") is True
        daemon.terminate()


@pytest.mark.parametrize("address", ["", "tcp:host=localhost,port=1", "autolaunch:", "unix:path=/not/there", "unix:"])
def test_where_no_bus_can_be_asked_nobody_can_tell(address):
    assert isinstance(serves(address, BUS), Unknown)


ANSWERS = {
    "nothing": [b""],
    "no entry": [b"REJECTED EXTERNAL\r\n"],
    "garbage": [b"OK 1\r\n", b"x" * 64],
    "another byte order": [b"OK 1\r\n", b"B\2\0\1" + bytes(12)],
    "a message without end": [b"OK 1\r\n", b"l\2\0\1" + b"\xff" * 12],
    "an error": [b"OK 1\r\n", b"l\3\0\1" + bytes(12)],
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_odd_answer_is_unknown(tmp_path, answer):
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "bus"))
        door.listen()

        def play():
            line, _ = door.accept()
            with line:
                for piece in ANSWERS[answer]:
                    line.recv(4096)
                    line.sendall(piece)

        player = threading.Thread(target=play)
        player.start()
        assert isinstance(serves(f"unix:path={tmp_path / 'bus'}", BUS), Unknown)
        player.join()


def test_a_bus_that_says_nothing_is_given_up(tmp_path):
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "bus"))
        door.listen()
        began = time.monotonic()
        answer = serves(f"unix:path={tmp_path / 'bus'}", BUS, 0.2)
    assert "timed out" in str(answer) or "no answer" in str(answer)
    assert time.monotonic() - began < 10  # a bound against hanging
