from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys

import pytest

from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.observe import handles as module
from sentinel.observe import processes
from sentinel.observe.handles import Handles, raise_descriptor_limit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


@pytest.fixture
def handles():
    handles = Handles()
    yield handles
    handles.close()


@pytest.fixture
def child():
    process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    yield process
    process.stdin.close()
    process.wait()


def test_a_handle_tells_who_it_is_on_and_that_it_lives(handles, child):
    who = handles.take(child.pid)
    assert who == processes.identify(child.pid)
    assert handles.ended(who) is False
    assert list(handles) == [who]


def test_taking_twice_holds_one_descriptor(handles, child):
    assert handles.take(child.pid) == handles.take(child.pid)
    assert len(handles) == 1


def test_an_end_is_known_before_anybody_reaped_it(handles, child):
    who = handles.take(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert handles.ended(who) is True
    assert handles.take(child.pid) == Gone()


@pytest.mark.parametrize(
    ("code", "status"), [("exit 0", 0), ("exit 7", 7 << 8), ("kill -9 $$", 9), ("kill -15 $$", 15)]
)
def test_how_it_ended_is_told_by_the_kernel(handles, code, status):
    process = subprocess.Popen(["/bin/sh", "-c", f"read x; {code}"], stdin=subprocess.PIPE)
    who = handles.take(process.pid)
    process.communicate(b"\n")
    told = handles.status(who)
    if told is None and tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 15):
        pytest.skip("missing: Linux 6.15 (PIDFD_GET_INFO)")
    assert told == status


def test_how_it_ended_is_not_told_while_it_lives(handles, child):
    assert handles.status(handles.take(child.pid)) is None


def test_a_process_that_is_gone_cannot_be_taken(handles):
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert handles.take(process.pid) == Gone()
    assert len(handles) == 0


def test_the_pid_of_another_is_not_the_process(handles, child):
    who = processes.identify(child.pid)
    other = ProcessId(who.pid, who.start - 1)
    assert handles.borrow(other) == Gone()
    assert handles.ended(other) is True


def test_a_borrowed_descriptor_is_the_callers_own(handles, child):
    who = handles.take(child.pid)
    mine = handles.borrow(who)
    handles.drop(who)
    try:
        signal.pidfd_send_signal(mine, 0)
    finally:
        os.close(mine)


def test_borrowing_what_was_never_taken_leaves_nothing_open(handles, child):
    mine = handles.borrow(processes.identify(child.pid))
    assert isinstance(mine, int)
    os.close(mine)
    assert len(handles) == 0


def test_nothing_can_be_borrowed_on_the_dead(handles, child):
    who = handles.take(child.pid)
    child.kill()
    child.wait()
    assert handles.borrow(who) == Gone()


def test_without_descriptors_the_process_is_still_told_by_its_start_time(handles, child, monkeypatch):
    def none_left(pid):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", none_left)
    told = []
    handles.on_exhausted = lambda: told.append("once")
    who = handles.take(child.pid)
    assert who == processes.identify(child.pid)
    assert handles.exhausted
    handles.take(child.pid)
    assert told == ["once"]
    assert handles.ended(who) is False
    assert isinstance(handles.borrow(who), Unknown)


def test_beyond_the_room_for_handles_a_process_is_known_and_can_be_borrowed(child):
    told = []
    with subprocess.Popen(["sleep", "60"]) as other, contextlib.closing(Handles(most=1)) as handles:
        try:
            handles.on_exhausted = lambda: told.append("once")
            first, second = handles.take(child.pid), handles.take(other.pid)
            assert (first, second) == (processes.identify(child.pid), processes.identify(other.pid))
            assert (len(handles), handles.fd(second)) == (1, None)
            assert handles.take(child.pid) == first
            handles.take(other.pid)
            assert told == ["once"]
            mine = handles.borrow(second)
            assert isinstance(mine, int)
            os.close(mine)
            assert handles.borrow(ProcessId(second.pid, second.start - 1)) == Gone()
            handles.drop(first)
            handles.take(other.pid)
            assert isinstance(handles.fd(second), int)  # there is room again
        finally:
            other.kill()


def test_the_room_leaves_enough_to_borrow_every_handle_and_to_read_files(monkeypatch):
    for limit, most in [(64, 16), (1024, 496), (20, 0), (resource.RLIM_INFINITY, 32752)]:
        monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: (limit, limit))
        assert Handles()._most == most


def test_where_there_are_no_pidfds_the_start_time_decides(handles, child, monkeypatch):
    monkeypatch.setattr(module, "HAS_PIDFD", False)
    who = handles.take(child.pid)
    assert handles.borrow(who) is None
    assert handles.borrow(ProcessId(who.pid, who.start - 1)) == Gone()


def test_an_answer_that_is_missing_is_not_an_end(handles, child, monkeypatch):
    who = processes.identify(child.pid)
    monkeypatch.setattr(processes, "above", lambda pid: Unknown("what it is", "a test says so"))
    assert isinstance(handles.ended(who), Unknown)


def test_the_descriptor_limit_is_raised_to_what_the_user_may_have():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        assert raise_descriptor_limit() >= 256
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == raise_descriptor_limit()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
