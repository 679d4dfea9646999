"""SpecWeave's scenarios of registry, heartbeats, staleness and watchdog (its tasks T-001 to T-006), each by its name.

Where Sentinel promises more than the scenario asks, the comment says what; nothing is promised less.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentinel.history import History
from sentinel.observe import processes
from sentinel.registry.entries import Place
from sentinel.registry.errors import RegistryBusy
from sentinel.registry.registry import PATIENCE, Registry
from sentinel.registry.standing import Standing
from sentinel.registry.store import Store
from tests.lab.stage import alive, interpreter, until
from tests.real.conftest import write

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")]

REMOTE = Place("another-machine", "another-boot")
"""Where heartbeats have to do: of its own machine's processes Sentinel is told by the kernel."""


@pytest.fixture
def registry(where):
    with Registry(where, tell=lambda _: None) as registry:
        yield registry


def places(where):
    return [str(where.config), str(where.state), str(where.runtime)]


def program(where, body):
    """A process that does something with this registry once it is told to."""
    script = f"""
import sys, time
from pathlib import Path
from sentinel import Registry, paths
registry = Registry(paths.Paths(*map(Path, sys.argv[1:4])), tell=lambda _: None)
sys.stdin.readline()
{body}"""
    command = [sys.executable, "-c", script, *places(where)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def all_at_once(*programs):
    for one in programs:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in programs:
        one.communicate(timeout=60)
        assert one.returncode == 0


def beaten(where, session, ago, place=REMOTE):
    """A session whose last heartbeat is so many seconds old."""
    with Store(where.registry, now=(lambda: time.time() - ago, lambda: time.monotonic() - ago)) as store:
        return store.register(session, processes.identify(os.getpid()), place, kind="registered")


# -- T-001: the registry -----------------------------------------------------------


def test_register_new_session(registry, sleeper):
    process = sleeper()
    registry.register("session-001", pid=process.pid)
    (entry,) = registry.sessions()
    assert (entry.id, entry.root.pid) == ("session-001", process.pid)
    # ISO 8601: as `sentinel events` has it; in the registry they are seconds since the epoch.
    assert entry.registered == entry.heartbeat == pytest.approx(time.time(), abs=30)
    assert entry.status == "active"


def test_concurrent_registration_race_condition_test(where, registry):
    all_at_once(*(program(where, f"registry.register('session-{n}'); time.sleep(0.5)") for n in range(3)))
    registry.check()
    assert {entry.id for entry in registry.sessions()} == {"session-0", "session-1", "session-2"}
    assert registry.mended == ""


def test_corrupted_registry_recovery(where, registry, sleeper):
    registry.register("session-001", pid=sleeper().pid)
    registry.close()
    where.registry.write_text('{"sessions": [ invalid JSON' * 200)
    # Theirs is empty afterwards. Ours has what the journal and the living processes tell.
    assert [entry.id for entry in registry.sessions()] == ["session-001"]
    types = [entry.record["type"] for entry in History(where.journal).read()]
    assert "dev.sentinel.registry.rebuilt" in types


# -- T-002: atomic -----------------------------------------------------------------


def test_update_heartbeat_without_corruption(registry):
    registry.register("session-001")
    for _ in range(1000):
        before = time.time()
        registry.heartbeat("session-001")
    registry.check()
    assert before <= registry.get("session-001").heartbeat <= time.time()


def test_add_child_process_during_concurrent_heartbeat_update(where, registry, sleeper):
    children = [sleeper() for _ in range(20)]
    registry.register("session-001")
    beating = program(where, "for _ in range(200): registry.heartbeat('session-001')")
    adding = program(where, f"for pid in {[c.pid for c in children]}: registry.add_child('session-001', pid)")
    before = time.time()
    all_at_once(beating, adding)
    entry = registry.get("session-001")
    assert {child.id.pid for child in entry.children} == {child.pid for child in children}
    assert entry.heartbeat > before


def test_lock_acquisition_timeout(where, registry):
    registry.register("session-001")
    assert PATIENCE == 5.0
    with open(where.registry.with_suffix(".lock")) as lock, Registry(where, patience=0.3) as other:
        fcntl.flock(lock, fcntl.LOCK_EX)
        began = time.monotonic()
        with pytest.raises(RegistryBusy, match="try again"):
            other.heartbeat("session-001")
        assert time.monotonic() - began >= 0.3


# -- T-003: staleness --------------------------------------------------------------


def test_detect_stale_session(where, registry):
    beaten(where, "session-001", 90)
    assert [entry.id for entry in registry.stale(60)] == ["session-001"]
    assert registry.standing(registry.get("session-001"), 60) == "stale"


def test_active_session_not_flagged_as_stale(where, registry):
    beaten(where, "session-001", 30)
    # A process of this machine is not stale at any age, as long as it lives.
    beaten(where, "session-002", 10**6, registry.here)
    assert registry.stale(60) == []


def test_cleanup_old_completed_sessions(where, registry):
    hours = 3600.0
    for name, ago in (("a", 25), ("b", 25), ("c", 25), ("d", 1), ("e", 1)):
        beaten(where, name, ago * hours)
    with Store(where.registry, now=(lambda: time.time() - 25 * hours, time.monotonic)) as store:
        for name in "abc":
            store.end(name)
    assert registry.forget_ended(24 * hours) == 3
    assert [entry.id for entry in registry.sessions(ended=True)] == ["d", "e"]


# -- T-004: heartbeats -------------------------------------------------------------


def session(stage, name):
    shown = stage.sentinel("session", "show", name, "--json")
    return json.loads(shown.stdout)


def test_parent_process_alive(where, registry, sleeper):
    parent = sleeper()
    registry.register("session-001", pid=parent.pid)
    beats = []
    for _ in range(3):  # theirs waits five seconds in between, in a process of its own
        registry.heartbeat("session-001")
        beats.append(registry.get("session-001").heartbeat)
        time.sleep(0.01)
    assert beats == sorted(set(beats))
    assert registry.standing(registry.get("session-001")) is Standing.ALIVE


def test_parent_process_dies(stage):
    # No process has to watch the parent: the kernel tells, and not within five seconds but at once.
    stage.agent()
    parent, left = registered(stage, "session-001")
    stage.kill(parent.pid, signal.SIGKILL)
    until(lambda: not alive(left), "what it left being ended")
    until(lambda: session(stage, "session-001")["status"] == "ended", "its entry being closed")
    died, done = stage.record("session.died", "session-001"), stage.record("cleanup.done", "session-001")
    assert done["monons"] - died["monons"] < 5e9


def test_cross_platform_parent_check(registry, sleeper):
    # One question to one door (sentinel.observe.processes), which asks /proc on Linux and psutil elsewhere.
    from sentinel.observe import portable

    parent = sleeper()
    registry.register("session-001", pid=parent.pid)
    assert registry.standing(registry.get("session-001")) is Standing.ALIVE
    assert portable.above(parent.pid).dead is False
    parent.kill()
    os.waitid(os.P_PID, parent.pid, os.WEXITED | os.WNOWAIT)
    assert registry.standing(registry.get("session-001")) is Standing.DEAD  # a zombie is dead
    assert portable.above(parent.pid).dead is True


# -- T-005: one watchdog -----------------------------------------------------------


def test_first_watchdog_starts_successfully(stage):
    agent = stage.agent()
    status = json.loads(stage.sentinel("status", "--json").stdout)
    # A kernel lock instead of a heartbeat: it falls with the agent, whatever happens to that.
    assert (status["state"], status["pid"]) == ("running", agent.pid)


def test_second_watchdog_detects_active_instance(stage):
    agent = stage.agent()
    second = stage.sentinel("agent")
    assert second.returncode == 0
    assert f"already running (PID {agent.pid}, since " in second.stderr
    assert agent.poll() is None


def test_stale_watchdog_takeover(stage):
    first = stage.agent()
    stage.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert stage.sentinel("status").returncode == 1  # it died and left its lock file
    second = stage.agent()
    assert json.loads(stage.sentinel("status", "--json").stdout)["pid"] == second.pid
    assert [record["data"]["instead_of"] for record in stage.journal("agent.started")] == [0, first.pid]
    assert f"it took over from process {first.pid}, " in stage.sentinel("events").stdout


# -- T-006: the clean-up service -----------------------------------------------------


def registered(stage, name, more=""):
    """A registered script, and the pid of what it bears."""
    sentinel = " ".join(interpreter())
    script = f"sleep 600 & {write('left')}; {sentinel} session register {name}; {more} touch ready; sleep 600; true"
    process = stage.start("bash", "-c", script)
    until((stage.home / "ready").exists, "its being registered")
    (stage.home / "ready").unlink()
    return process, stage.pid("left")


def test_clean_up_stale_session(stage):
    sentinel = " ".join(interpreter())
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); open('deaf', 'w').close(); time.sleep(600)"
    stage.configure("[policy.registered]\ngrace = 0.5\n")
    stage.agent()
    parent, left = registered(
        stage,
        "session-001",
        f"""python3 -c "{stubborn}" & {write("stubborn")}; until [ -e deaf ]; do sleep 0.01; done
        (setsid sleep 600 </dev/null >/dev/null 2>&1 & {write("far")})
        {sentinel} session child session-001 $(cat far); {sentinel} session child session-001 $(cat stubborn);""",
    )
    children = [left, stage.pid("far"), stage.pid("stubborn")]
    stage.kill(parent.pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in children), "their end")
    outcomes = {
        o["target"].split("@")[0]: o["result"] for o in stage.record("cleanup.done", "session-001")["data"]["outcomes"]
    }
    assert outcomes[str(stage.pid("stubborn"))] == "killed"  # SIGTERM first, then SIGKILL
    assert outcomes[str(stage.pid("far"))] == "ended"
    until(lambda: session(stage, "session-001")["status"] == "ended", "its entry being closed")


def test_detect_and_kill_heredoc_zombies(stage):
    # Not by a pattern: `cat` is ended because its session bore it, and somebody else's `cat` lives.
    # Each has a FIFO as its input, which nobody writes to, like a heredoc whose writer was lost.
    stage.agent()
    theirs = stage.start("bash", "-c", "mkfifo theirs; exec -a 'cat <<EOF' cat <> theirs")
    cats = "; ".join(f"mkfifo fifo{n}; (exec -a 'cat <<EOF' cat <> fifo{n}) & {write(f'cat{n}')}" for n in range(3))
    parent, _ = registered(stage, "session-001", f"{cats};")
    pids = [stage.pid(f"cat{n}") for n in range(3)]
    until(lambda: stage.watched("session-001")["processes"] >= 5, "the agent knowing them all")
    stage.kill(parent.pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in pids), "their end")
    assert alive(theirs.pid)


def test_skip_active_sessions(stage):
    stage.agent()
    parent, left = registered(stage, "session-001")
    stage.watched("session-001")
    other, of_other = registered(stage, "session-002")
    stage.kill(other.pid, signal.SIGKILL)
    until(lambda: not alive(of_other), "the other one's clean-up")
    assert alive(parent.pid)
    assert alive(left)
    assert session(stage, "session-001")["status"] == "active"


def test_handle_non_existent_pids_gracefully(stage):
    parent, left = registered(stage, "session-001")
    stage.kill(parent.pid, signal.SIGKILL)
    stage.kill(left, signal.SIGKILL)
    parent.wait()
    agent = stage.agent()
    until(lambda: session(stage, "session-001")["status"] == "ended", "its entry being closed")
    assert agent.poll() is None
    assert not stage.journal("handler.failed")


def test_pid_validation_before_kill(stage):
    # Whoever has the number now is recognised by its start time, not by its name.
    stranger = stage.start("sleep", "600")
    who = processes.identify(stranger.pid)
    stage.sentinel("session", "register", "session-001", "--pid", str(stranger.pid))
    database = Path(stage.home / "state" / "registry.db")
    with Store(database) as store:
        store._connection.execute("UPDATE sessions SET start = start - 1")
    agent = stage.agent()
    until(lambda: session(stage, "session-001")["status"] == "ended", "its entry being closed")
    assert session(stage, "session-001")["why"] == "its process has ended"
    assert processes.identify(stranger.pid) == who
    assert alive(stranger.pid)
    assert agent.poll() is None
