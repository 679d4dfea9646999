from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sentinel.core.facts import Unknown
from sentinel.observe import locks
from tests.handlers.room import becomes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")

HOLD = """
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
if sys.argv[2] == "flock":
    fcntl.flock(fd, fcntl.LOCK_EX)
elif sys.argv[2] == "posix":
    fcntl.lockf(fd, fcntl.LOCK_EX)
elif sys.argv[2] == "inherited":
    fcntl.flock(fd, fcntl.LOCK_EX)
    parent = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == parent:  # it has the file open as well
        time.sleep(0.001)
elif sys.argv[2] == "another thread's":
    import ctypes, threading
    def last():
        while open("/proc/self/stat").read().rsplit(")", 1)[1].split()[0] != "Z":
            time.sleep(0.001)
        print(os.getpid(), flush=True)
        sys.stdin.readline()
    threading.Thread(target=last).start()
    ctypes.CDLL(None).pthread_exit(None)
print(os.getpid(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    return path


@pytest.fixture
def hold(file):
    started = []

    def hold(how):
        command = [sys.executable, "-c", HOLD, str(file), how]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return int(process.stdout.readline())

    yield hold
    for process in started:
        process.stdin.close()
        process.stdout.read()  # ends with the last who has it, the grandchild too
        process.stdout.close()
        process.wait()


def used(file):
    status = file.stat()
    return locks.users(str(file), status.st_dev, status.st_ino, os.getuid())


def test_a_file_that_nobody_uses(file):
    assert used(file) == ()


def test_the_caller_is_no_user(file):
    with open(file) as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)
        assert used(file) == ()


@pytest.mark.parametrize("how", ["flock", "posix", "open", "another thread's"])
def test_who_has_it_locked_or_only_open(file, hold, how):
    pid = hold(how)
    (user,) = used(file)
    assert f"(pid {pid})" in user
    assert (pid in locks.locked_by(file.stat().st_ino)) == (how in {"flock", "posix"})


def test_a_lock_that_was_inherited_is_its_child_s_though_the_kernel_names_the_dead(file, hold):
    """Scenario 18."""
    child = hold("inherited")
    assert child not in locks.locked_by(file.stat().st_ino)
    (user,) = used(file)
    assert f"(pid {child})" in user


def test_another_file_of_that_name_is_another_file(file, hold, tmp_path):
    hold("flock")
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "lock"
    other.touch()
    assert used(other) == ()


def test_what_the_kernel_does_not_tell_is_unknown(file, monkeypatch, tmp_path):
    monkeypatch.setattr(locks, "_LOCKS", str(tmp_path / "missing"))
    assert isinstance(used(file), Unknown)


def test_a_thread_has_a_number_and_is_no_process():
    told, go_on = [], threading.Event()

    def work():
        told.append(threading.get_native_id())
        go_on.wait()

    thread = threading.Thread(target=work)
    thread.start()
    while not told:
        pass
    try:
        assert locks.is_thread(told[0])
        assert not locks.is_thread(os.getpid())
    finally:
        go_on.set()
        thread.join()
    while Path(f"/proc/self/task/{told[0]}").exists():  # Python's thread is over before the kernel's is
        time.sleep(0.001)
    assert not locks.is_thread(told[0])


def test_who_works_in_a_directory(tmp_path):
    (tmp_path / "deep").mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=tmp_path / "deep") as process:
        try:
            becomes(process.pid, "sleep")
            assert locks.at_work("sle", str(tmp_path), os.getuid()) == (process.pid,)
            assert locks.at_work("git", str(tmp_path), os.getuid()) == ()
            assert locks.at_work("sle", str(tmp_path / "de"), os.getuid()) == ()
        finally:
            process.kill()
