"""The psutil door, where procfs can tell whether it speaks the truth."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from sentinel.core.facts import Above, Gone, ProcessFacts, ProcessId, Unknown
from sentinel.observe import portable, procfs, threads

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")

SCRIPT = "import time; print(flush=True); time.sleep(60)"


@pytest.fixture
def start(tmp_path):
    started = []

    def start(**more):
        command = [sys.executable, "-I", "-S", "-c", SCRIPT]
        more = {"stdout": subprocess.PIPE, "cwd": tmp_path, "env": {"MARK": "a=b", "EMPTY": ""}, **more}
        process = subprocess.Popen(command, **more)
        process.stdout.readline()
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def in_state(pid, state):
    deadline = time.monotonic() + 20
    while procfs.look(pid).state != state:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def same(pid, *, but=()):
    """Both doors' facts of a process, but for what psutil cannot tell."""
    ours, theirs = procfs.look(pid), portable.look(pid)
    names = {"parent", "group", "session", "state", "name", "uid"} - set(but)
    assert {name: getattr(theirs, name) for name in names} == {name: getattr(ours, name) for name in names}
    assert bool(theirs.terminal) == bool(ours.terminal)
    assert theirs.dead == ours.dead
    return ours, theirs


@pytest.mark.parametrize("session", [True, False])
def test_it_sees_the_same_process(start, session):
    child = start(start_new_session=session)
    in_state(child.pid, "S")
    same(child.pid)
    same(os.getpid(), but={"state"})


def test_it_sees_the_same_states(start):
    child = start()
    child.send_signal(signal.SIGSTOP)
    in_state(child.pid, "T")
    same(child.pid)
    child.kill()
    in_state(child.pid, "Z")
    ours, theirs = procfs.above(child.pid), portable.above(child.pid)
    assert (theirs.dead, theirs.parent) == (ours.dead, ours.parent) == (True, os.getpid())


def test_the_identity_is_the_start_in_another_unit(start):
    child = start()
    who = portable.identify(child.pid)
    ours = procfs.identify(child.pid)
    since_boot = (who.start - _boot() * 1_000_000) / portable.ticks_per_second()
    assert abs(since_boot - ours.start / procfs.ticks_per_second()) < 2
    assert portable.look(child.pid).id == portable.above(child.pid).id == who == portable.identify(child.pid)


def _boot():
    with open("/proc/stat", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("btime"))


def test_two_processes_of_one_number_have_two_identities(start):
    first = portable.identify(start().pid)
    assert portable.identify(start().pid) != first
    assert portable.identify(first.pid) == first


@pytest.mark.parametrize("question", ["identify", "look", "above"])
@pytest.mark.parametrize("pid", [2**22 + 5, 0, -1, -17, 10**30])
def test_what_is_not_there_is_gone(question, pid):
    assert getattr(procfs, question)(pid) == Gone()
    assert getattr(portable, question)(pid) == Gone()


@pytest.mark.parametrize("pid", [2**22 + 5, 0, -1, 10**30])
def test_what_is_not_there_has_nothing(pid):
    for door in (procfs, portable):
        assert (door.comm(pid), door.owner(pid), door.working_directory(pid)) == ("", None, "")
        assert isinstance(door.program(pid), Unknown)
        assert isinstance(door.environment(pid, "MARK"), Unknown)


def test_what_ended_and_was_reaped_is_gone(start):
    child = start()
    child.kill()
    child.wait()
    assert portable.look(child.pid) == portable.identify(child.pid) == portable.above(child.pid) == Gone()


def test_it_tells_the_same_of_program_place_and_environment(start, tmp_path):
    child = start()
    assert portable.program(child.pid) == procfs.program(child.pid)
    assert portable.working_directory(child.pid) == procfs.working_directory(child.pid) == str(tmp_path)
    for name in ("MARK", "EMPTY", "NOT_THERE"):
        assert portable.environment(child.pid, name) == procfs.environment(child.pid, name)
    assert portable.comm(child.pid) == procfs.comm(child.pid)
    assert portable.owner(child.pid) == procfs.owner(child.pid) == os.getuid()


def test_an_environment_that_is_not_shown_is_not_an_empty_one(start):
    child = start(env={})
    answer = portable.environment(child.pid, "MARK")
    assert isinstance(answer, Unknown)  # macOS shows none of hardened programs: it looks like this


def test_what_it_cannot_tell_it_does_not_guess(start):
    assert isinstance(portable.stdio(start().pid), Unknown)


def test_it_sees_everyone_and_their_children(start):
    child = start()
    assert {os.getpid(), child.pid} <= set(portable.everyone())
    assert portable.population(os.getuid(), 1) == 1
    assert portable.population(os.getuid(), sys.maxsize) >= 2
    assert portable.population(4_000_000_000, sys.maxsize) == 0
    link = portable.above(child.pid)
    assert isinstance(link, Above)
    assert link.parent == os.getpid()
    assert isinstance(portable.look(child.pid), ProcessFacts)
    assert portable.boot_id() == portable.boot_id()
    assert isinstance(link.id, ProcessId)


def test_it_knows_the_children_of_a_process(start):
    children = {start().pid for _ in range(3)}
    assert children <= set(portable.children(os.getpid()))
    assert children <= set(threads.children(os.getpid()))
