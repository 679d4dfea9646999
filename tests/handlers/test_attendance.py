from __future__ import annotations

import os
import socket
import sys

import pytest

from sentinel.core.events import EventsLost, SessionClosed, SourceDegraded
from sentinel.handlers.attendance import Attendance
from sentinel.service.supervisor import Supervisor
from tests.handlers.room import killed

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


class Systemd:
    """Its end of the notification socket, and a clock that waits for us."""

    def __init__(self, path):
        self.end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.end.bind(str(path))
        self.end.settimeout(0)
        self.environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "60000000"}
        self.due = []

    def later(self, seconds, function):
        self.due.append((seconds, function))

    def pass_time(self):
        due, self.due = self.due, []
        for _, function in due:
            function()

    @property
    def told(self):
        said = []
        while True:
            try:
                said += self.end.recv(4096).decode().splitlines()
            except BlockingIOError:
                return said


@pytest.fixture
def systemd(tmp_path):
    systemd = Systemd(tmp_path / "notify")
    yield systemd
    systemd.end.close()


@pytest.fixture
def attend(room, systemd):
    def attend(environ=None, **options):
        supervisor = Supervisor(systemd.environ if environ is None else environ)
        options.setdefault("held", lambda: "")
        return Attendance(room.bus, room.ledger, supervisor, later=systemd.later, **options)

    return attend


def test_it_says_that_all_is_watched_and_pays_at_once(attend, systemd):
    attend().begin()
    assert systemd.told == ["READY=1", "STATUS=watching 0 sessions, nothing to clean", "WATCHDOG=1"]
    assert [seconds for seconds, _ in systemd.due] == [30.0]


def test_where_nobody_listens_there_is_no_timer(attend, systemd, room):
    attend(environ={}).begin()
    room.bus.publish(SourceDegraded("a test", "it says so"))
    assert systemd.due == []
    assert systemd.told == []


def test_what_happens_is_told_once_for_all_of_it(attend, systemd, room):
    del systemd.environ["WATCHDOG_USEC"]
    attend().begin()
    session = room.open(room.start().pid)
    other = room.open(room.start().pid)
    room.ledger.exited(other.root.pid, killed())
    assert systemd.told[-1] == "STATUS=watching 0 sessions, nothing to clean"
    room.bus.publish(SourceDegraded("a test", "it says so"))
    room.bus.publish(SourceDegraded("a test", "it says so again"))
    assert len(systemd.due) == 1
    systemd.pass_time()
    assert systemd.told == ["STATUS=watching 1 session, something is left of 1 dead session"]
    room.bus.publish(SessionClosed(session))
    systemd.pass_time()
    assert systemd.told == []  # nothing that would be news


def test_it_pays_for_each_look_again(attend, systemd):
    attend().begin()
    for _ in range(3):
        assert "WATCHDOG=1" in systemd.told
        systemd.pass_time()


def test_a_look_that_fails_pays_nothing(attend, systemd, room, monkeypatch):
    room.open(room.start().pid)
    attend().begin()
    assert "WATCHDOG=1" in systemd.told

    def fails(_):
        raise RuntimeError("it cannot look any more")

    monkeypatch.setattr("sentinel.handlers.attendance.processes.ended", fails)
    with pytest.raises(RuntimeError):
        systemd.pass_time()
    assert systemd.told == []
    assert systemd.due == []


@pytest.mark.parametrize("reaped", [True, False])
def test_an_end_that_nobody_told_is_noticed_at_the_second_look(attend, systemd, room, reaped):
    lost = []
    room.bus.subscribe(EventsLost, lost.append)
    puppet = room.start()
    room.open(puppet.pid)
    attend().begin()
    puppet.kill()
    os.waitid(os.P_PID, puppet.pid, os.WEXITED | (0 if reaped else os.WNOWAIT))
    systemd.pass_time()
    assert lost == []  # it may be told yet
    systemd.pass_time()
    assert [event.source for event in lost] == ["watchdog"]


def test_a_reload_is_framed(attend, systemd):
    work = []
    attendance = attend(
        environ={"NOTIFY_SOCKET": systemd.environ["NOTIFY_SOCKET"]}, held=lambda: "a person has paused it"
    )
    attendance.reload(lambda: work.append(systemd.told))
    assert work[0][0] == "RELOADING=1"
    assert work[0][1].startswith("MONOTONIC_USEC=")
    assert systemd.told == [
        "READY=1",
        "STATUS=watching 0 sessions, nothing to clean; nothing is ended: a person has paused it",
    ]


def test_safe_mode_is_what_it_says_first(attend, systemd):
    attend(safe="it crashed 3 times within 60 s").begin()
    assert "STATUS=safe mode, nothing is ended: it crashed 3 times within 60 s" in systemd.told


def test_its_end(attend, systemd):
    attend().end()
    assert systemd.told == ["STOPPING=1"]
