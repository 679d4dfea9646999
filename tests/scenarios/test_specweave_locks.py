"""The lock tasks of `specweave-process-lifecycle-tasks.txt` (T-008, T-009), scenario by scenario."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from sentinel.locks import Lock, LockHeld
from sentinel.locks.lock import look

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
SENTINEL = f"{sys.executable} -m sentinel"
PROCESSOR = (
    f"{SENTINEL} lock run --timeout 0 --session session-7 processor.lock -- sh -c 'cat processor.lock; echo went on'"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "processor.lock"


@pytest.fixture
def holder():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def by_mkdir(path, pid, minutes):
    """A lock as the lock manager made it, so many minutes old."""
    path.mkdir()
    (path / "pid").write_text(f"{pid}\n")
    then = time.time() - 60 * minutes
    os.utime(path, (then, then))


def end(process):
    process.kill()
    process.wait()


def processor(path):
    return subprocess.run(["sh", "-c", PROCESSOR], cwd=path.parent, capture_output=True, text=True, check=False)


def test_acquire_fresh_lock(path):
    with Lock(path, timeout=0) as lock:
        assert lock.held
        assert look(path).pid == os.getpid()


@pytest.mark.parametrize("minutes", [0, 6])
def test_detect_and_remove_stale_lock(path, holder, minutes):
    """It waited for six minutes to be over; a proof needs no age."""
    by_mkdir(path, holder.pid, minutes)
    end(holder)
    with Lock(path, timeout=5) as lock:
        assert lock.held


@pytest.mark.parametrize("minutes", [2, 6, 60 * 24])
def test_respect_active_lock(path, holder, minutes):
    by_mkdir(path, holder.pid, minutes)
    with pytest.raises(LockHeld):
        Lock(path, timeout=0).acquire()
    assert (path / "pid").read_text() == f"{holder.pid}\n"


def test_cross_platform_timestamp_extraction(path, holder):
    """No timestamp decides: one of the future, or of another century, changes nothing."""
    by_mkdir(path, holder.pid, -60 * 24 * 365)
    with pytest.raises(LockHeld):
        Lock(path, timeout=0).acquire()
    end(holder)
    Lock(path, timeout=5).acquire()


def test_normal_lock_acquisition(path):
    done = processor(path)
    said, went_on = done.stdout.splitlines()
    assert json.loads(said)["session"] == "session-7"
    assert went_on == "went on"
    assert done.returncode == 0


def test_stale_lock_recovery(path, holder):
    """The agent writes its journal where theirs was a log of its own; a taker needs neither."""
    by_mkdir(path, holder.pid, 6)
    end(holder)
    first = processor(path)  # puts the directory aside, or has done with it already
    assert "went on" in (first.stdout or processor(path).stdout)


def test_active_processor_prevents_duplicate(path, holder):
    by_mkdir(path, holder.pid, 6)
    done = processor(path)
    assert (done.returncode, done.stdout) == (75, "")
    assert len(done.stderr.splitlines()) == 1
    assert (path / "pid").exists()
