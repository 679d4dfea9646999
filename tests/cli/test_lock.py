"""`sentinel lock`, as scripts use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentinel.locks import Lock
from sentinel.locks.lock import look

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
HANG = 60
WORDS = f"{sys.executable} -m sentinel lock"


@pytest.fixture
def sh(tmp_path, where):
    """Run a script in a shell of its own."""
    places = {f"SENTINEL_{name.upper()}_DIR": str(getattr(where, name)) for name in ("config", "state", "runtime")}

    def sh(script):
        return subprocess.run(
            ["sh", "-c", script],
            cwd=tmp_path,
            env={**os.environ, **places, "HOME": str(tmp_path), "lock": WORDS},
            capture_output=True,
            text=True,
            timeout=HANG,
            check=False,
        )

    return sh


def test_a_script_takes_a_lock_and_gives_it_back(sh):
    done = sh("$lock acquire a.lock && cat a.lock && echo $$ && $lock release a.lock && test ! -e a.lock")
    holder, pid = done.stdout.splitlines()
    assert json.loads(holder)["pid"] == int(pid)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_script_is_told_who_has_it(sh, tmp_path):
    with Lock(tmp_path / "a.lock", session="deploy"):
        done = sh("$lock acquire --timeout 0 a.lock")
        assert done.returncode == 75
        assert done.stderr == f"sentinel: a.lock is held: by process {os.getpid()}, session deploy\n"
        assert sh("$lock release a.lock").returncode == 1
        assert look(tmp_path / "a.lock").pid == os.getpid()


def test_what_a_script_left_is_free(sh):
    sh("$lock acquire a.lock; kill -9 $$")
    done = sh("$lock check a.lock; echo $?; $lock acquire --timeout 0 a.lock")
    assert done.stdout.startswith("stale: its holder, process ")
    assert done.stdout.endswith("has ended\n0\n")
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("make", "status", "says"),
    [
        ("true", 0, "free: nothing is there"),
        ("echo $$ > it; sleep 0", 1, "held: by process "),
        ("mkdir it; echo $$ > it/pid", 1, "held: by process "),
        ("echo > it", 4, "unknown: "),
        ("ln -s nowhere-at-all it", 4, "unknown: "),
        ("mkdir .next .next/dev; echo 1 > .next/dev/lock; ln -s .next/dev/lock x; mv .next/dev it", 4, "unknown"),
    ],
)
def test_check_says_who_holds_it_whatever_kind_it_is(sh, make, status, says):
    done = sh(f"{make}; $lock check it; code=$?; $lock check --json it; exit $code")
    assert done.returncode == status
    first, second = done.stdout.splitlines()
    assert first.startswith(says)
    told = json.loads(second)
    assert first.partition(": ")[0] == told["standing"]
    assert told["why"].endswith(first.partition(": ")[2])


def test_a_command_runs_while_it_holds_the_lock_and_its_status_is_passed_on(sh, tmp_path):
    done = sh("$lock run --session deploy a.lock -- sh -c 'cat a.lock; echo $$; exit 7'")
    holder, pid = done.stdout.splitlines()
    assert json.loads(holder)["pid"] == int(pid)
    assert json.loads(holder)["session"] == "deploy"
    assert done.returncode == 7
    assert "a.lock" not in os.listdir(tmp_path)


@pytest.mark.parametrize(("command", "status"), [("missing-program", 127), (".", 126)])
def test_a_command_that_cannot_be_run(sh, tmp_path, command, status):
    done = sh(f"$lock run a.lock -- {command}")
    assert done.returncode == status
    assert done.stderr.startswith(f"sentinel: cannot run {command}: ")
    assert "a.lock" not in os.listdir(tmp_path)


def test_a_command_whose_lock_is_held_does_not_begin(sh, tmp_path):
    with Lock(tmp_path / "a.lock"):
        done = sh("$lock run --timeout 0 a.lock -- touch begun")
    assert done.returncode == 75
    assert not (tmp_path / "begun").exists()


def test_a_command_that_is_killed_is_told_as_such(sh):
    assert sh("$lock run a.lock -- sh -c 'kill -9 $$'").returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_command_holds_the_lock_not_the_one_that_waits_for_it(tmp_path, number):
    """SIGTERM is handed on; after SIGKILL of the waiting one the command goes on, and so does its lock."""
    path = tmp_path / "a.lock"
    words = [sys.executable, "-m", "sentinel", "lock", "run", str(path), "--", "sleep", "60"]
    with subprocess.Popen(words) as waiting:
        deadline = time.monotonic() + HANG
        while not (held := path.exists() and look(path)) and time.monotonic() < deadline:
            time.sleep(0.02)
        command = os.pidfd_open(held.pid)
        while Path(f"/proc/{held.pid}/comm").read_text() != "sleep\n" and time.monotonic() < deadline:
            time.sleep(0.02)  # it has not begun
        waiting.send_signal(number)
        waiting.wait(HANG)
    if number == signal.SIGKILL:
        assert look(path).ended() is False
        signal.pidfd_send_signal(command, signal.SIGKILL)
        with Lock(path, timeout=HANG):
            pass
    else:
        assert waiting.returncode == -signal.SIGTERM
        assert not path.exists()
    os.close(command)


def test_all_locks_of_a_project_are_listed(sh, tmp_path):
    (tmp_path / "shop" / "tmp" / "pids").mkdir(parents=True)
    done = sh(
        "cd shop; $lock list; $lock acquire deploy.lock; echo $$ > tmp/pids/server.pid; echo soon > x.pid;"
        "$lock list; $lock list --json"
    )
    nothing, *rest, as_json = done.stdout.splitlines()
    assert nothing == "There are no locks."
    assert [line.split()[0] for line in rest] == ["held", "held"]
    assert [entry["kind"] for entry in json.loads(as_json)] == ["sentinel", "pid file"]


def test_mistakes_are_told_in_a_sentence(sh):
    for words in ("acquire --timeout soon a.lock", "acquire --pid 1 a.lock", "run a.lock"):
        done = sh(f"$lock {words}")
        assert done.returncode == 2, words
        assert len(done.stderr.splitlines()) == 1


def test_where_everybody_may_write_no_lock_is_made(sh):
    done = sh("mkdir open; chmod 777 open; $lock acquire open/a.lock")
    assert done.returncode == 73
    assert "everybody may write" in done.stderr


def test_where_no_lock_can_be_made_neither_begins_a_command(sh):
    done = sh("$lock run none/a.lock -- echo begun")
    assert (done.returncode, done.stdout) == (73, "")
    assert "no lock can be made at none/a.lock" in done.stderr


def test_what_is_no_directory_is_not_said_to_have_no_locks(sh):
    for place in ("none", "file"):
        done = sh(f"touch file; $lock list . {place}")
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{place} is no directory" in done.stderr
