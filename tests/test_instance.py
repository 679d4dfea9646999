from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel import __version__, instance
from sentinel.errors import AlreadyRunning, SentinelError
from sentinel.instance import Condition

ROOT = Path(__file__).parents[1]
HANG = 30

HOLD = """
import sys
from sentinel import instance, paths
with instance.claim(paths.find()):
    print("held", flush=True)
    sys.stdin.readline()
"""
RACE = """
import os, sys
from sentinel import instance, paths
from sentinel.errors import AlreadyRunning
from sentinel.observe import processes  # claim imports it: that belongs before the start
print("ready", flush=True)
sys.stdin.readline()  # the starting gun: the end of one pipe, shared by all
try:
    with instance.claim(paths.find()):
        print("won", flush=True)
        open(os.environ["FINISH"]).read()
except AlreadyRunning:
    print("lost", flush=True)
"""


@pytest.fixture
def start(where):
    """Start Python in a process of its own, in our directories."""
    started = []

    def start(script, **more):
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=more.pop("stdin", subprocess.PIPE),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={
                "SENTINEL_CONFIG_DIR": str(where.config),
                "SENTINEL_STATE_DIR": str(where.state),
                "SENTINEL_RUNTIME_DIR": str(where.runtime),
                **more,
            },
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=HANG)


def holder(start):
    process = start(HOLD)
    assert process.stdout.readline() == "held\n"
    return process


def test_the_file_tells_people_who_holds_the_lock(where):
    with instance.claim(where):
        said = json.loads(where.lock.read_text())
        state = instance.look(where)
    assert said["pid"] == os.getpid()
    assert said["version"] == __version__
    assert (state.condition, state.pid, state.version) == (Condition.RUNNING, os.getpid(), __version__)
    assert state.start == said["start"] > 0
    assert state.since is not None
    assert where.lock.stat().st_mode & 0o777 == 0o600


def test_the_second_one_says_who_is_first_and_writes_nothing(where, start):
    first = holder(start)
    before = where.lock.stat()
    content = where.lock.read_text()
    with (
        pytest.raises(
            AlreadyRunning, match=rf"^already running \(PID {first.pid}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\)$"
        ),
        instance.claim(where),
    ):
        pytest.fail("two agents")
    after = where.lock.stat()
    assert (before.st_ino, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_ino,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
    assert where.lock.read_text() == content
    assert [entry.name for entry in where.runtime.iterdir()] == ["agent.lock"]


def test_the_second_one_knows_although_the_first_could_not_write(where, start):
    holder(start)
    where.lock.write_text("")
    with pytest.raises(AlreadyRunning, match=r"^already running$"), instance.claim(where):
        pytest.fail("two agents")
    assert instance.look(where) == instance.State(Condition.RUNNING)


def test_an_end_in_good_order_empties_the_file_and_leaves_it(where):
    with instance.claim(where):
        inode = where.lock.stat().st_ino
    assert where.lock.stat().st_ino == inode
    assert where.lock.read_bytes() == b""
    assert instance.look(where).condition is Condition.STOPPED


@pytest.mark.parametrize("by_hand", [KeyboardInterrupt, SystemExit])
def test_to_be_interrupted_is_good_order(where, by_hand):
    with pytest.raises(by_hand), instance.claim(where):
        raise by_hand
    assert instance.look(where).condition is Condition.STOPPED


def test_an_error_is_no_end_in_good_order(where):
    with pytest.raises(RuntimeError), instance.claim(where):
        raise RuntimeError
    assert instance.look(where).condition is Condition.CRASHED
    with instance.claim(where):
        assert instance.look(where).condition is Condition.RUNNING


def test_sigkill_frees_the_lock_at_once(where, start):
    first = holder(start)
    first.send_signal(signal.SIGKILL)
    first.wait(HANG)
    state = instance.look(where)
    assert (state.condition, state.pid) == (Condition.CRASHED, first.pid)
    with instance.claim(where) as held:
        assert instance.look(where).pid == os.getpid()
        assert held.before == first.pid
    with instance.claim(where) as held:
        assert held.before == 0  # of one that ended in good order nothing is to be told


def test_a_child_of_the_agent_does_not_keep_the_lock(where):
    with instance.claim(where):
        child = os.fork()
        if child == 0:  # forked and not yet another program: it shares every descriptor
            signal.pause()
            os._exit(0)
    try:
        with instance.claim(where):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_no_agent_ever_ran(where):
    assert instance.look(where) == instance.State(Condition.STOPPED)
    assert list(where.runtime.iterdir()) == []


def test_what_cannot_be_looked_at_is_unknown(where):
    where.lock.symlink_to(where.state / "elsewhere")
    state = instance.look(where)
    assert state.condition is Condition.UNKNOWN
    assert str(where.lock) in state.why


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_lock_that_is_no_file_is_refused(where, make):
    make(where.lock)
    with pytest.raises(SentinelError, match="lock file"), instance.claim(where):
        pytest.fail("locked something else")


def test_a_lock_is_not_followed_elsewhere(where, tmp_path):
    (tmp_path / "precious").write_text("gold")
    where.lock.symlink_to(tmp_path / "precious")
    with pytest.raises(SentinelError, match="lock file"), instance.claim(where):
        pytest.fail("locked something else")
    assert (tmp_path / "precious").read_text() == "gold"


def test_a_look_is_not_in_the_way_of_an_agent(where, monkeypatch):
    where.lock.touch()
    looking = os.open(where.lock, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        fcntl.flock(looking, fcntl.LOCK_EX | fcntl.LOCK_NB)  # who waits must not be in the way of others
        fcntl.flock(looking, fcntl.LOCK_UN)

    monkeypatch.setattr(instance.time, "sleep", pause)
    with instance.claim(where):
        assert len(pauses) == 1
    os.close(looking)


def test_whoever_looks_for_ever_is_said(where, monkeypatch):
    where.lock.touch()
    monkeypatch.setattr(instance.time, "sleep", lambda _: None)
    with open(where.lock) as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        with pytest.raises(SentinelError, match="held by a process that is not an agent"), instance.claim(where):
            pytest.fail("locked in spite of a lock")


def test_of_fifty_that_start_at_once_exactly_one_wins(where, start, tmp_path):
    finish = tmp_path / "finish"
    os.mkfifo(finish)
    start_line, gun = os.pipe()
    racers = [start(RACE, stdin=start_line, FINISH=str(finish)) for _ in range(50)]
    os.close(start_line)
    assert {process.stdout.readline() for process in racers} == {"ready\n"}
    os.close(gun)
    results = [process.stdout.readline().strip() for process in racers]
    assert sorted(results) == ["lost"] * 49 + ["won"]
    with open(finish, "w"):
        pass
    assert [process.wait(HANG) for process in racers] == [0] * 50
    assert instance.look(where).condition is Condition.STOPPED
