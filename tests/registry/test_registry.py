"""The registry as programs use it: what they say is looked at before it is written."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import sentinel
from sentinel import paths
from sentinel.core.events import ChildNamed, RegistrationEnded, SessionRegistered
from sentinel.core.facts import ProcessId
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.history import History
from sentinel.observe import processes
from sentinel.registry.entries import Place, Proof, Status
from sentinel.registry.registry import Registry
from sentinel.registry.standing import Standing
from sentinel.registry.store import Store
from tests.cli.standin import StandIn
from tests.handlers.room import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


@pytest.fixture
def told():
    return []


@pytest.fixture
def registry(where, told):
    with Registry(where, record=told.append, tell=lambda _: None) as registry:
        yield registry


@pytest.fixture
def sleeper():
    """Starts processes that sleep, each with one that it bears, and ends them."""
    with contextlib.ExitStack() as stack:

        def start():
            process = stack.enter_context(
                subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            child = int(process.stdout.readline())
            stack.callback(kill, os.pidfd_open(child))
            return process, child

        yield start


@pytest.fixture
def lost():
    """Starts processes that sleep and lose their parent at once, in a session (setsid) of their own; and ends them."""
    with contextlib.ExitStack() as stack:

        def start():
            script = "setsid sleep 60 >/dev/null & echo $!"
            done = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True, text=True)
            pid = int(done.stdout)
            stack.callback(kill, os.pidfd_open(pid))
            until(lambda: processes.look(pid).session == pid, "its session")
            return pid

        yield start


def kill(handle):
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)


def test_programs_import_it_by_its_name():
    assert sentinel.Registry is Registry
    with pytest.raises(AttributeError, match="Regestry"):
        _ = sentinel.Regestry


def test_to_import_sentinel_imports_no_database():
    script = (
        "import sys, sentinel; assert 'sqlite3' not in sys.modules; from sentinel import Registry; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    modules = set(done.stdout.split())
    assert "sentinel.registry.registry" in modules
    assert not modules & {"sqlite3", "_sqlite3", "sentinel.registry.store", "sentinel.journal"}


def test_by_default_a_program_registers_itself(registry, told):
    entry = registry.register("nightly", project="/srv", labels={"team": "blue"})
    assert entry.root == processes.identify(os.getpid())
    assert entry.place == registry.here
    assert (entry.kind, entry.name, entry.project, entry.labels) == ("registered", "nightly", "/srv", {"team": "blue"})
    assert registry.get("nightly") == entry
    assert registry.sessions() == [entry]
    (event,) = told
    at, labels = entry.place, {"team": "blue"}
    assert event == SessionRegistered(
        "nightly", 1, "registered", "nightly", "/srv", labels, at.host, at.boot, at.namespace, entry.root,
        entry.registered,
    )  # fmt: skip


def test_it_makes_its_directories_where_nobody_has(tmp_path, monkeypatch):
    for name in ("STATE", "RUNTIME"):
        monkeypatch.setenv(f"SENTINEL_{name}_DIR", str(tmp_path / "new" / name))
    with Registry() as registry:
        assert not registry.path.exists()
        registry.register("nightly")
        assert registry.path.exists()
        assert registry.path == tmp_path / "new" / "STATE" / "registry.db"
    (entry,) = History(paths.find().journal).read()
    assert entry.record["type"] == "dev.sentinel.registry.entry"


@pytest.mark.parametrize("pid", [0, -1, 1, 2**22 + 1, 10**30])
def test_who_is_not_there_is_not_registered(registry, told, pid):
    with pytest.raises(SentinelError):
        registry.register("nightly", pid=pid)
    assert not registry.path.exists()
    assert told == []


@pytest.mark.skipif(os.getuid() != 0, reason="missing: root (to start a process of another user)")
def test_another_users_process_is_refused(registry):
    with subprocess.Popen(["setpriv", "--reuid=65534", "sleep", "60"]) as other:
        try:
            deadline = time.monotonic() + 20
            while processes.owner(other.pid) == 0:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            registry.register("ours")
            for refused in (
                lambda: registry.register("x", pid=other.pid),
                lambda: registry.add_child("ours", other.pid),
            ):
                with pytest.raises(SentinelError, match="another user"):
                    refused()
        finally:
            other.kill()


def test_a_process_that_is_dead_but_not_reaped_is_refused(registry):
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(NoSuchThing):
        registry.register("nightly", pid=zombie.pid)
    zombie.wait()


@pytest.mark.parametrize("wrong", ["two\nlines", "\x1b[31m", "\u202e", "\udcff", "nul\0"])
def test_an_id_that_cannot_be_printed_is_refused_and_a_name_is_kept_as_it_is(registry, wrong):
    with pytest.raises(SentinelError, match="printable"):
        registry.register(wrong)
    with pytest.raises(SentinelError, match="printable"):
        registry.register("x", kind=wrong)
    entry = registry.register("x", name=wrong, labels={wrong: wrong})
    assert entry.name == wrong.replace("\udcff", "\ufffd")
    assert list(entry.labels) == [entry.name]


# -- children ----------------------------------------------------------------------


def test_what_hangs_under_the_session_is_its_child_whoever_says_so(registry, told, sleeper):
    root, child = sleeper()
    registry.register("nightly", pid=root.pid)
    assert registry.add_child("nightly", child, by=1).proof is Proof.DESCENDS
    (known,) = registry.get("nightly").children
    assert known == (processes.identify(child), Proof.DESCENDS)
    assert told[1:] == [ChildNamed("nightly", 1, known.id, "descends", own=True)]


def test_what_has_lost_its_parent_is_believed_of_one_who_does(registry, sleeper, lost):
    root, inner = sleeper()
    registry.register("nightly", pid=root.pid)
    left = lost()
    for by in (root.pid, inner):
        assert registry.add_child("nightly", left, by=by).proof is Proof.NAMED
        registry.remove_child("nightly", left)


@pytest.mark.parametrize("apart", [False, True])
def test_mercy_the_work_of_somebody_else_is_not_believed_whoever_names_it(registry, told, sleeper, apart):
    # A script reads a pid file that is older than the reboot: the number is an editor's by now.
    root, _ = sleeper()
    registry.register("nightly", pid=root.pid)
    bearer = f"""import subprocess
print(subprocess.Popen(["sleep", "60"], start_new_session={apart}).pid, flush=True)
input()"""
    with subprocess.Popen([sys.executable, "-c", bearer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        editor = int(process.stdout.readline())
        handle = os.pidfd_open(editor)
        try:
            with pytest.raises(SentinelError, match=f"{editor} is the work of process {process.pid}, which lives"):
                registry.add_child("nightly", editor, by=root.pid)
        finally:
            kill(handle)
    assert registry.get("nightly").children == ()
    assert [type(event) for event in told] == [SessionRegistered]


def test_mercy_a_program_that_is_only_called_like_the_users_manager_adopts_nobody(registry, sleeper, tmp_path):
    root, _ = sleeper()
    registry.register("nightly", pid=root.pid)
    program = tmp_path / "systemd"
    shutil.copy("/bin/sh", program)
    command = [program, "-c", "sleep 60 & echo $!; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        child = int(process.stdout.readline())
        handle = os.pidfd_open(child)
        try:
            assert processes.comm(process.pid) == "systemd"
            with pytest.raises(SentinelError, match=f"{child} is the work of process {process.pid}, which lives"):
                registry.add_child("nightly", child, by=root.pid)
        finally:
            kill(handle)


def test_mercy_who_is_older_than_the_session_is_not_believed(registry, sleeper, lost):
    left = lost()
    time.sleep(2 / processes.ticks_per_second())
    root, _ = sleeper()
    registry.register("nightly", pid=root.pid)
    with pytest.raises(SentinelError, match=f"process {left} is older than the session"):
        registry.add_child("nightly", left, by=root.pid)


def test_mercy_what_a_stranger_names_is_not_believed(registry, told, sleeper):
    (root, _), (stranger, of_stranger) = sleeper(), sleeper()
    registry.register("nightly", pid=root.pid)
    for by in (None, stranger.pid, of_stranger, os.getpid(), 1, 10**9):
        with pytest.raises(SentinelError, match="does not hang under session nightly"):
            registry.add_child("nightly", of_stranger, by=by)
    assert registry.get("nightly").children == ()
    assert [type(event) for event in told] == [SessionRegistered]


def test_mercy_the_process_of_another_session_is_nobodys_child(registry, sleeper):
    root, child = sleeper()
    registry.register("outer", pid=root.pid)
    registry.register("inner", pid=child)
    for session, pid in (("outer", child), ("outer", root.pid), ("inner", child)):
        with pytest.raises(SentinelError, match=r"is the process of session (inner|outer) itself"):
            registry.add_child(session, pid)


def test_mercy_the_session_of_another_pid_namespace_gets_no_child_here(where, registry, sleeper):
    root, child = sleeper()
    registry.register("nightly", pid=root.pid)
    registry.here = Place(registry.here.host, registry.here.boot, registry.here.namespace + 1)
    with pytest.raises(SentinelError, match="cannot be seen from here"):
        registry.add_child("nightly", child)


def test_a_session_that_has_ended_gets_no_children(registry, sleeper):
    (root, _), (other, _) = sleeper(), sleeper()
    registry.register("nightly", pid=root.pid)
    root.kill()
    root.wait()
    with pytest.raises(SentinelError, match="may have ended"):
        registry.add_child("nightly", other.pid, by=root.pid)
    registry.end("nightly")
    with pytest.raises(NoSuchThing):
        registry.add_child("nightly", other.pid)


def test_a_child_is_taken_off_the_list(registry, told, sleeper):
    root, child = sleeper()
    registry.register("nightly", pid=root.pid)
    known = registry.add_child("nightly", child)
    assert registry.remove_child("nightly", child)
    assert not registry.remove_child("nightly", child)
    assert registry.get("nightly").children == ()
    assert told[2:] == [ChildNamed("nightly", 1, known.id, "", own=False)]


# -- asked -------------------------------------------------------------------------


def test_a_session_is_found_by_its_process_its_children_and_what_hangs_under_them(registry, sleeper, lost):
    root, inner = sleeper()
    registry.register("nightly", pid=root.pid)
    named = lost()
    registry.add_child("nightly", named, by=root.pid)
    for pid in (root.pid, inner, named):
        assert [entry.id for entry in registry.find(pid)] == ["nightly"]
    assert registry.find(os.getpid()) == []
    registry.register("inner", pid=inner)
    assert [entry.id for entry in registry.find(inner)] == ["inner"]
    with pytest.raises(NoSuchThing, match="there is no process"):
        registry.find(2**22 + 1)


def test_a_session_whose_process_has_ended_is_stale_however_young_its_heartbeat_is(registry, sleeper):
    (dead, _), (alive, _) = sleeper(), sleeper()
    registry.register("dead", pid=dead.pid)
    registry.register("alive", pid=alive.pid)
    assert registry.stale(0.0) == []
    dead.kill()
    dead.wait()
    registry.heartbeat("dead")
    assert [entry.id for entry in registry.stale(10**6)] == ["dead"]
    assert registry.standing(registry.get("alive"), 0.0) is Standing.ALIVE
    assert registry.standing(registry.end("alive")) is Standing.ENDED


def test_the_number_of_a_dead_session_that_another_process_has_proves_its_death(where, registry, sleeper):
    other, _ = sleeper()
    with Store(where.registry) as store:
        store.register("s1", ProcessId(other.pid, 5), registry.here, kind="k")
    assert registry.standing(registry.get("s1")) is Standing.DEAD
    with pytest.raises(SentinelError, match="may have ended"):
        registry.add_child("s1", other.pid, by=other.pid)


def test_the_generations_of_an_id(registry, told, sleeper):
    first, second = sleeper()[0], sleeper()[0]
    registry.register("nightly", pid=first.pid)
    registry.register("nightly", pid=second.pid)
    registry.end("nightly", "a \udcff test")
    assert [(entry.generation, entry.status) for entry in registry.generations("nightly")] == [
        (1, Status.ENDED),
        (2, Status.ENDED),
    ]
    assert told[-1] == RegistrationEnded("nightly", 2, "a \ufffd test")
    assert registry.forget_ended(3600) == 0
    assert registry.forget_ended(-1) == 2


# -- the agent ---------------------------------------------------------------------


def test_the_agent_is_told_of_each_change_but_not_of_a_heartbeat(where, sleeper):
    root, child = sleeper()
    with contextlib.closing(StandIn(where.inbox, lambda _: {"session": "x"})) as agent, Registry(where) as registry:
        registry.register("nightly", pid=root.pid)
        registry.heartbeat("nightly")
        registry.add_child("nightly", child)
        registry.remove_child("nightly", child)
        registry.end("nightly")
        assert registry.heard
    assert agent.asked == [{"ask": "enlisted", "session": "nightly"}] * 4


def test_without_an_agent_nothing_is_missing(where):
    with Registry(where) as registry:
        assert registry.register("nightly").id == "nightly"
        assert not registry.heard


def test_what_the_agent_does_not_believe_is_told(where):
    answer = SentinelError("it does not believe that")
    with contextlib.closing(StandIn(where.inbox, lambda _: answer)), Registry(where) as registry:
        with pytest.raises(SentinelError, match="does not believe"):
            registry.register("nightly")
        assert registry.get("nightly")
