from __future__ import annotations

import ctypes
import itertools
import os
import signal
import subprocess
import sys
import threading

import pytest

from sentinel.core.facts import Unknown
from sentinel.observe import processes, threads
from tests.handlers.room import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")

LEAVES_THREADS = """
import ctypes, sys, threading
threading.Thread(target=sys.stdin.read).start()
ctypes.CDLL(None).pthread_exit(None)
"""
PTRACE_SEIZE = 0x4206
WALL = 0x40000000


@pytest.fixture
def headless():
    """A process whose first thread has ended."""
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", LEAVES_THREADS], stdin=subprocess.PIPE)
    until(lambda: threads.field(threads._read(f"/proc/{process.pid}/status"), b"State").startswith(b"Z"))
    yield process.pid
    process.kill()
    process.communicate()


def test_the_children_of_all_threads_are_told():
    borne, through = [], threading.Event()

    def bear():
        borne.append(subprocess.Popen(["/bin/sleep", "60"]))
        through.wait()

    thread = threading.Thread(target=bear)
    bear_too = subprocess.Popen(["/bin/sleep", "60"])
    thread.start()
    until(lambda: borne)
    try:
        assert {bear_too.pid, borne[0].pid} <= set(threads.children(os.getpid()))
    finally:
        through.set()
        thread.join()
        for process in (*borne, bear_too):
            process.kill()
            process.wait()


def test_a_thread_that_ends_meanwhile_has_handed_its_children_on(monkeypatch):
    child = subprocess.Popen(["/bin/sleep", "60"])
    read, ended = threads._read, []

    def read_once(path):  # the first thread that is asked has ended by then
        if not ended:
            ended.append(path)
            raise ProcessLookupError(path)
        return read(path)

    monkeypatch.setattr(threads, "_read", read_once)
    found = threads.children(os.getpid())
    child.kill()
    child.wait()
    assert ended
    assert child.pid in found


@pytest.fixture
def child():
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        yield process.pid
        process.kill()


def test_a_child_that_was_passed_over_when_the_one_before_it_ended_is_found(monkeypatch, child):
    read, ended = threads._read, [b"4194304 "]  # which end the kernel stumbles over cannot be arranged
    monkeypatch.setattr(threads, "_read", lambda path: ended.pop() if ended else read(path))
    assert child in threads.children(os.getpid())
    assert not ended


def test_children_that_come_and_go_at_each_look_are_found_by_a_look_at_everybody(monkeypatch, child):
    numbers = itertools.count(4194304)
    monkeypatch.setattr(threads, "_read", lambda _: b"%d " % next(numbers))
    assert isinstance(threads.children(os.getpid()), Unknown)
    assert child in processes.children(os.getpid())


def test_where_no_kernel_lists_children_they_are_found_by_a_look_at_everybody(monkeypatch, child):
    monkeypatch.setattr(processes, "children_listed", lambda _: Unknown("which children it has", "nobody lists them"))
    assert child in processes.children(os.getpid())
    assert child in {link.id.pid for link in processes.descendants(os.getpid())}
    monkeypatch.setattr(processes, "tree", dict)  # nothing can be seen
    assert isinstance(processes.children(os.getpid()), Unknown)


def test_where_no_kernel_lists_children_nobody_can_tell(monkeypatch):
    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(threads, "_read", missing)
    assert isinstance(threads.children(os.getpid()), Unknown)


def test_the_children_of_one_that_is_gone_are_unknown():
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert isinstance(threads.children(process.pid), Unknown)
    assert isinstance(processes.children(process.pid), Unknown)
    assert threads.state_of_others(process.pid) is None


def test_the_others_tell_what_a_process_does_whose_first_thread_has_ended(headless):
    until(lambda: threads.state_of_others(headless) == ("S", 0))
    os.kill(headless, signal.SIGSTOP)
    until(lambda: threads.state_of_others(headless) == ("T", 0))


def test_they_tell_also_who_traces_it(headless):
    other = next(int(thread) for thread in os.listdir(f"/proc/{headless}/task") if thread != str(headless))
    until(lambda: threads.state_of_others(headless) == ("S", 0))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.ptrace(PTRACE_SEIZE, other, None, None) == 0
    assert threads.state_of_others(headless) == ("S", os.getpid())
    os.kill(headless, signal.SIGKILL)
    os.waitpid(other, WALL)


def test_one_without_other_threads_has_none_to_tell():
    process = subprocess.Popen(["/bin/sleep", "60"])
    try:
        assert threads.state_of_others(process.pid) is None
    finally:
        process.kill()
        process.wait()
