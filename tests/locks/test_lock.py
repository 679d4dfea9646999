from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentinel.core.facts import Unknown
from sentinel.errors import SentinelError
from sentinel.locks import CannotLock, Lock, LockHeld
from sentinel.locks.lock import give_back, look
from sentinel.observe import place

ROOT = Path(__file__).parents[2]
HANG = 60
RACER = """
import os, sys, time
from sentinel.locks import Lock, LockHeld
path, ledger, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
sys.stdin.readline()
for number in range(rounds):
    with Lock(path, timeout=50):
        # Whoever is alone in here reads what it wrote.
        with open(ledger) as file:
            before = int(file.read())
        with open(ledger, "w") as file:
            file.write(str(before + 1))
"""
HOLD = """
import sys
from sentinel.locks import Lock
Lock(sys.argv[1]).acquire()
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deploy.lock"


@pytest.fixture
def start():
    started = []

    def start(script, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def dead(path, start):
    """A lock whose holder was killed, as it lies there."""

    def dead():
        holder = start(HOLD, path)
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait()
        return path.read_bytes()

    return dead


def says(path, **changes):
    """Have the lock say something else of its holder."""
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))


def test_it_names_its_holder_while_it_is_held_and_is_gone_afterwards(path):
    with Lock(path, session="shop") as lock:
        assert lock.held
        holder = look(path)
        assert (holder.pid, holder.session) == (os.getpid(), "shop")
        assert holder.ended() is False
    assert not lock.held
    assert os.listdir(path.parent) == []
    assert look(path) is None


def test_who_does_not_get_it_is_told_by_whom_it_is_held(path, start):
    holder = start(HOLD, path)
    holder.stdout.readline()
    with pytest.raises(LockHeld, match=f"by process {holder.pid}"):
        Lock(path, timeout=0.05).acquire()
    assert os.listdir(path.parent) == [path.name]


def test_one_who_waits_gets_it_when_it_is_given_back(path, start):
    holder = start(HOLD, path)
    holder.stdout.readline()
    holder.stdin.write("\n")
    holder.stdin.flush()  # it ends, and leaves the lock: that is taken over
    with Lock(path, timeout=HANG):
        assert look(path).pid == os.getpid()


def test_the_lock_of_a_dead_holder_is_taken_over_at_once_whatever_its_age(path, dead):
    dead()
    with Lock(path, timeout=0):
        assert look(path).pid == os.getpid()
    assert os.listdir(path.parent) == []


FILL = """
import resource, signal, sys
from sentinel.errors import SentinelError
from sentinel.locks import Lock
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
try:
    Lock(sys.argv[1], timeout=0).acquire()
except SentinelError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [0, 20])
def test_where_a_lock_cannot_be_written_whole_there_is_none_and_nothing_is_left(path, room):
    script = [sys.executable, "-c", FILL, str(path), str(room)]  # the limit stands for a full disk
    said = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.startswith(f"no lock can be made at {path}: ")
    assert os.listdir(path.parent) == []


def test_a_zombie_holds_nothing(path, start):
    holder = start(HOLD, path)
    holder.stdout.readline()
    os.kill(holder.pid, signal.SIGKILL)
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped
    with Lock(path, timeout=0):
        pass


def test_a_number_that_went_to_another_process_holds_nothing(path, dead):
    dead()
    says(path, pid=os.getppid())
    with Lock(path, timeout=0):
        pass


def test_a_holder_of_another_boot_of_this_machine_is_dead(path, monkeypatch):
    monkeypatch.setattr(place, "machine", lambda: "4b1d")
    with Lock(path) as lock:
        says(path, boot="another")
        with Lock(path, timeout=0):
            pass
        lock.release()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"host": "elsewhere"}, "another machine"),
        ({"host": "elsewhere", "boot": "another"}, "another machine"),
        ({"machine": "a twin of the same name", "boot": "another"}, "another machine of this name"),
        ({"machine": "", "boot": "another"}, "another machine of this name"),
        ({"namespace": 1}, "another pid namespace"),
    ],
)
def test_mercy_a_dead_holder_that_may_be_elsewhere_keeps_its_lock(path, dead, changes, why):
    dead()
    says(path, **changes)
    before = path.read_bytes()
    with pytest.raises(LockHeld, match=why):
        Lock(path, timeout=0).acquire()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"4242\n", b"{", b'{"pid":1}', b"\xff\xfe", b"[]"])
def test_mercy_what_names_no_holder_is_nobodys_to_take(path, content):
    path.write_bytes(content)
    with pytest.raises(LockHeld, match="not a lock's"):
        Lock(path, timeout=0).acquire()
    assert path.read_bytes() == content


def test_mercy_another_users_lock_stays(path, dead):
    if os.geteuid():
        pytest.skip("missing: root, to make another user's file")
    dead()
    os.chown(path, 65534, 65534)
    with pytest.raises(LockHeld, match="another user"):
        Lock(path, timeout=0).acquire()


def test_a_link_is_not_followed(path, tmp_path, dead):
    dead()
    path.rename(tmp_path / "theirs")
    path.symlink_to(tmp_path / "theirs")
    with pytest.raises(LockHeld, match="cannot be looked at"):
        Lock(path, timeout=0).acquire()
    assert (tmp_path / "theirs").exists()


def test_where_no_file_can_be_made_that_is_said(tmp_path):
    with pytest.raises(CannotLock, match="no lock can be made"):
        Lock(tmp_path / "missing" / "x.lock").acquire()


def test_for_a_process_that_does_not_live_nothing_is_locked(path, start):
    process = start("")
    process.wait()
    with pytest.raises(SentinelError, match="it has ended"):
        Lock(path, pid=process.pid).acquire()
    assert not path.exists()


def test_a_lock_can_be_taken_for_another_process(path, start):
    shell = start("input()")
    Lock(path, pid=shell.pid).acquire()
    assert look(path).pid == shell.pid
    assert not give_back(path, lambda holder: holder.pid == os.getpid())
    assert give_back(path, lambda holder: holder.pid == shell.pid)
    assert not path.exists()


def test_a_lock_that_another_has_taken_over_is_not_given_back(path):
    lock = Lock(path)
    lock.acquire()
    path.unlink()
    with Lock(path, timeout=0):
        lock.release()
        assert look(path).pid == os.getpid()


def test_the_lock_of_a_script_is_respected_and_taken_over_when_it_is_dead(path, start):
    script = start("import sys; print(flush=True); sys.stdin.readline()")
    path.mkdir()
    (path / "pid").write_text(f"{script.pid}\n")
    with pytest.raises(LockHeld, match=str(script.pid)):
        Lock(path, timeout=0).acquire()
    script.kill()
    script.wait()
    with Lock(path, timeout=HANG):
        assert look(path).pid == os.getpid()
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("content", [None, "", "soon", "9" * 40])
def test_mercy_a_directory_without_a_number_stays(path, content):
    path.mkdir()
    if content is not None:
        (path / "pid").write_text(content)
    with pytest.raises(LockHeld):
        Lock(path, timeout=0).acquire()
    assert isinstance(look(path), Unknown)
    assert path.is_dir()


def test_of_six_at_once_one_is_inside(path, tmp_path, start):
    ledger = tmp_path / "count"
    ledger.write_text("0")
    racers = [start(RACER, path, ledger, 60) for _ in range(6)]
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    assert [racer.wait(HANG) for racer in racers] == [0] * 6
    assert ledger.read_text() == "360"
    assert sorted(os.listdir(tmp_path)) == ["count"]


RECLAIM = """
import os, sys
from pathlib import Path
from sentinel.locks import Lock, LockHeld
from sentinel.locks.lock import look
path, rounds = Path(sys.argv[1]), int(sys.argv[2])
for number in range(rounds):
    line = sys.stdin.readline()
    lock = Lock(path, timeout=0)
    try:
        lock.acquire()
        print("won" if look(path).pid == os.getpid() else "robbed", flush=True)
    except LockHeld:
        print("lost", flush=True)
    sys.stdin.readline()
    print("robbed" if lock.held and look(path).pid != os.getpid() else "kept", flush=True)
    if lock.held:
        lock.release()
"""


def test_of_eight_that_find_a_stale_lock_exactly_one_gets_it_and_keeps_it(path, dead, start):
    stale, rounds = dead(), 25
    racers = [start(RECLAIM, path, rounds) for _ in range(8)]
    for _ in range(rounds):
        Path(f"{path}.stale").write_bytes(stale)
        os.replace(f"{path}.stale", path)
        said = []
        for step in range(2):
            for racer in racers:
                racer.stdin.write("go\n")
                racer.stdin.flush()
            said.append([racer.stdout.readline().strip() for racer in racers])
            if step == 0:
                assert sorted(set(said[0])) == ["lost", "won"]
                assert said[0].count("won") == 1
        assert set(said[1]) == {"kept"}
        deadline = time.monotonic() + HANG
        while path.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
