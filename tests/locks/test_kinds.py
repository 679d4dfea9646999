from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from sentinel.core.facts import Gone, Unknown
from sentinel.core.rules.locks import LockFacts, LockKind, judge_lock
from sentinel.core.verdicts import Kept, Stale
from sentinel.locks import Lock
from sentinel.locks.holder import Holder
from sentinel.locks.kinds import look, recognise
from sentinel.observe import processes
from tests.lab.stage import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def dead(sleeper):
    """The number of nobody."""
    sleeper.kill()
    sleeper.wait()
    return sleeper.pid


def old(path):
    os.utime(path, (1, 1), follow_symlinks=False)
    return str(path)


def pid_file(path, pid):
    path.write_text(f"{pid}\n")


def directory(path, pid):
    path.mkdir()
    (path / "pid").write_text(f"{pid}\n")


def link(path, pid):
    path.symlink_to(f"{socket.gethostname()}-{pid}")


def session(path, pid):
    start = processes.identify(pid).start if isinstance(processes.identify(pid), tuple) else 7
    path.write_text(json.dumps({"pid": pid, "procStart": str(start), "sessionId": "x"}))


def ours(path, pid):
    Lock(path, pid=pid).acquire()


@pytest.mark.parametrize(
    ("name", "make", "kind"),
    [
        ("tmp/pids/server.pid", pid_file, LockKind.PID_FILE),
        ("deploy.lock", pid_file, LockKind.PID_FILE),
        ("deploy.lock", directory, LockKind.DIRECTORY),
        ("SingletonLock", link, LockKind.LINK),
        (".claude/sessions/1.json", session, LockKind.AGENT),
        ("deploy.lock", ours, LockKind.OURS),
    ],
)
def test_each_kind_is_recognised_and_names_its_holder(tmp_path, sleeper, name, make, kind):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path, sleeper.pid)
    facts = look(str(path))
    assert (facts.kind, facts.ended) == (kind, False)
    assert str(sleeper.pid) in facts.holder
    holder = Holder.of(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    facts = look(old(path), witnessed=holder)
    assert (facts.kind, facts.ended, facts.local) == (kind, True, True)
    assert isinstance(judge_lock(facts, path=str(path), uid=os.getuid()), Stale)


@pytest.mark.parametrize("name", ["postmaster.pid", "mongod.lock", ".next/dev/lock", ".package-cache", "db/flintlock"])
def test_mercy_what_must_never_be_removed_is_known_by_its_name(tmp_path, dead, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pid_file(path, dead)
    verdict = judge_lock(look(old(path)), path=str(path), uid=os.getuid())
    assert isinstance(verdict, Kept)
    assert verdict.guard in {"advisory", "database"}


@pytest.mark.parametrize(
    "content", ["", "soon\n", "-3\n", "0\n", "99999999999\n", '{"name": "shop", "lockfileVersion": 3}']
)
def test_what_names_nobody_is_no_lock(tmp_path, content):
    path = tmp_path / "package.lock"
    path.write_text(content)
    assert recognise(str(path), path.lstat()) is None
    assert isinstance(look(str(path)), Unknown)


def test_scenario_19_a_thread_and_a_zombie_are_dead_and_what_is_elsewhere_is_unknown(tmp_path, sleeper):
    told, go_on = [], threading.Event()

    def work():
        told.append(threading.get_native_id())
        go_on.wait()

    thread = threading.Thread(target=work)
    thread.start()
    while not told:
        pass
    try:
        pid_file(tmp_path / "a.pid", told[0])
        a = look(old(tmp_path / "a.pid"))
    finally:
        go_on.set()
        thread.join()
    sleeper.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    pid_file(tmp_path / "b.pid", sleeper.pid)
    b = look(old(tmp_path / "b.pid"))
    (tmp_path / "SingletonLock").symlink_to("other-container-1")
    c = look(old(tmp_path / "SingletonLock"))
    verdicts = [judge_lock(facts, path="x", uid=os.getuid()) for facts in (a, b, c)]
    assert [type(verdict) for verdict in verdicts] == [Stale, Stale, Kept]
    assert "another machine" in verdicts[2].reason


def test_mercy_a_number_that_is_nobody_s_may_be_a_container_s(tmp_path, dead):
    pid_file(tmp_path / "server.pid", dead)
    verdict = judge_lock(look(old(tmp_path / "server.pid")), path="x", uid=os.getuid())
    assert verdict.guard == "elsewhere"


def test_mercy_a_lock_that_names_another_by_now_is_not_the_witnessed_one_s(tmp_path, sleeper, dead):
    pid_file(tmp_path / "server.pid", os.getpid())
    witnessed = Holder(dead, 5, boot=processes.boot_id())
    facts = look(old(tmp_path / "server.pid"), witnessed=witnessed)
    assert facts.ended is False


def test_a_directory_that_holds_more_says_so(tmp_path, sleeper):
    directory(tmp_path / "x.lock", sleeper.pid)
    (tmp_path / "x.lock" / "work.txt").touch()
    assert look(str(tmp_path / "x.lock")).others == ("work.txt",)


def called_git(process):
    """The kernel names a program a moment after it let its starter go on."""
    until(lambda: processes.comm(process.pid) == "git", "the program's name")
    return process


def test_gits_lock_is_whose_who_has_it_open(tmp_path):
    path = tmp_path / ".git" / "index.lock"
    path.parent.mkdir()
    git = tmp_path / "git"
    git.symlink_to("/bin/sleep")
    with open(path, "w") as file, subprocess.Popen([git, "60"], stdout=file, cwd="/") as holder:
        called_git(holder)
        facts = look(str(path))
        assert facts.kind is LockKind.GIT
        assert str(holder.pid) in facts.holder
        witnessed = Holder.of(holder.pid)
        holder.kill()
    nobody = look(old(path))
    assert judge_lock(nobody, path="x", uid=os.getuid()).guard == "unfinished"
    fallen = look(str(path), witnessed=witnessed)
    assert isinstance(judge_lock(fallen, path="x", uid=os.getuid()), Stale)
    with subprocess.Popen([git, "60"], cwd=tmp_path) as other:  # works in the tree
        called_git(other)
        verdict = judge_lock(look(str(path), witnessed=witnessed), path="x", uid=os.getuid())
        other.kill()
    assert verdict.guard == "git"


def test_what_is_not_there_is_gone_and_a_link_in_place_of_a_file_is_not_followed(tmp_path, sleeper):
    assert isinstance(look(str(tmp_path / "x.pid")), Gone)
    pid_file(tmp_path / "theirs", sleeper.pid)
    (tmp_path / "x.pid").symlink_to(tmp_path / "theirs")
    assert not isinstance(look(str(tmp_path / "x.pid")), LockFacts)


@pytest.fixture
def git(tmp_path):
    """Start a program called git that works in the tree and has nothing open."""
    program = tmp_path / "git"
    program.symlink_to("/bin/sleep")
    (tmp_path / ".git").mkdir()
    started = []

    def git():
        started.append(called_git(subprocess.Popen([program, "60"], cwd=tmp_path)))
        return started[-1]

    yield git
    for process in started:
        process.kill()
        process.wait()


def test_while_hooks_run_git_has_its_lock_closed_and_holds_it_on(tmp_path, git):
    holder = git()
    (tmp_path / ".git" / "index.lock").touch()
    facts = look(str(tmp_path / ".git" / "index.lock"))
    assert (facts.holder, facts.ended) == (f"process {holder.pid}", False)


@pytest.mark.parametrize(("gits", "age", "why"), [(1, 60, "began after"), (2, 0, "2 gits"), (0, 0, "no gits")])
def test_mercy_a_git_that_may_be_another_is_not_called_the_holder(tmp_path, git, gits, age, why):
    for _ in range(gits):
        git()
    path = tmp_path / ".git" / "index.lock"
    path.touch()
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    facts = look(str(path))
    assert facts.holder == ""
    assert why in str(facts.ended)
