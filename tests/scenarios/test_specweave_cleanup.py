"""SpecWeave's scenarios of clean-ups, telling, platforms and costs (its tasks T-000, T-007, T-013, T-014, T-019).

Each by its name. What is measured is measured by ``make bench``: here is counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sentinel.core.facts import Gone
from sentinel.locks import kinds
from sentinel.notify import Message, Notifier
from sentinel.notify.desktop import Desktop
from sentinel.observe import portable, processes, procfs
from sentinel.registry.registry import Registry
from tests.lab.claude import Claude
from tests.lab.stage import alive, until
from tests.notify.conftest import machine
from tests.real.conftest import owned, settled, write

__all__ = ["machine"]

pytestmark = [pytest.mark.real, pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")]


def ended(*pids):
    until(lambda: not any(map(alive, pids)), "their end")


# -- T-000: what lies around already --------------------------------------------------------


def test_clean_up_current_zombie_processes(stage):
    """Twenty of a dead agent, and five of its watchdogs; theirs go by name and age, ours by what proves them lost."""
    lost = "(exec -a 'cat <<EOF' sleep 1000) & " * 20 + "(exec -a 'session-watchdog.sh --daemon' sleep 1000) & " * 5
    dead = stage.start("bash", "-c", f"export CLAUDE_PID=$$; {lost} echo $$ > dead; wait")
    stage.pid("dead")
    active = stage.start("bash", "-c", "export CLAUDE_PID=$$; (exec -a 'cat <<EOF' sleep 1001) & echo $! > of; wait")
    of_the_active = stage.pid("of")
    until(lambda: _named(stage, "sleep") == 26, "each being another program, in whose environment the mark is")
    stage.kill(dead.pid)
    until(lambda: not alive(dead.pid), "its end")
    zombies = [pid for pid in stage.everyone() if pid not in {active.pid, of_the_active}]
    assert len(zombies) == 25
    dry = stage.sentinel("clean", "--dry-run", "--yes")
    assert all(f" {pid} " in dry.stdout for pid in zombies)
    assert all(map(alive, zombies))
    done = stage.sentinel("clean", "--yes")
    assert "25 things: 25 ended." in done.stdout, done.stdout + done.stderr
    ended(*zombies)
    assert alive(active.pid)
    assert alive(of_the_active)
    (report,) = stage.journal("cleanup.done")
    assert {int(one["target"].partition("@")[0]) for one in report["data"]["outcomes"]} == set(zombies)


def _named(stage, name):
    return [processes.comm(pid) for pid in stage.everyone()].count(name)


# -- T-007: what is written down, and what is told -------------------------------------------


def test_log_cleanup_actions(stage):
    """Two sessions; the log is the journal, and `sentinel events` has the sentences."""
    stage.agent()
    for name in ("session-001", "session-002"):
        stage.start_run(name, f"sleep 600 & {write(f'child-of-{name}')}; sleep 601; true")
        (child,) = settled(stage, f"child-of-{name}", session=name)
        root = stage.watched(name)["pid"]
        stage.kill(root)
        outcomes = stage.record("cleanup.done", name)["data"]["outcomes"]
        assert {"target", "result"} <= outcomes[0].keys()
        assert child in {int(one["target"].partition("@")[0]) for one in outcomes if one["result"] == "ended"}
        stage.record("session.closed", name)
        said = stage.sentinel("events", "--session", name).stdout
        for sentence in (f"{name}-{root} was killed by SIGKILL", "about to end", "SIGTERM", ": ended ", "is closed"):
            assert sentence in said
        assert f"pid {child} " in stage.sentinel("explain", name).stdout


def test_send_notification_for_large_cleanup_and_no_notification_for_small_cleanup(stage):
    """Two things are only logged, five are told, and what was told is logged."""
    stage.configure("[notify]\nmin_processes = 3\n")
    stage.agent()
    for number in (2, 5):
        claude = Claude(stage, TERM="xterm-256color")
        children = [claude.do("bear('exec sleep 600')") for _ in range(number)]
        owned(stage, *children)
        stage.kill(claude.pid, signal.SIGKILL)
        ended(*children)
        stage.record("session.closed", "claude")
    (told,) = until(lambda: stage.journal("notification.sent"), "somebody being told")
    assert "5 processes ended" in told["data"]["text"]
    assert (told["data"]["shown"], bool(told["data"]["why"])) == (False, True)  # nobody sits at this machine
    assert [len(one["data"]["outcomes"]) for one in stage.journal("cleanup.done")] == [2, 5]


# -- T-013: platforms ------------------------------------------------------------------------


@pytest.mark.parametrize("door", [procfs, portable], ids=["linux", "macos and windows"])
def test_check_process_existence(door, sleeper):
    """Theirs runs kill or tasklist. Ours asks /proc on Linux; elsewhere psutil, which is asked here too."""
    process = sleeper()
    who = door.identify(process.pid)
    assert (door.above(process.pid).dead, who.pid) == (False, process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert door.above(process.pid).dead is True
    process.wait()
    assert door.identify(process.pid) == Gone()


def test_get_file_mtime_on_linux_and_macos(tmp_path):
    """No program is asked, so none has another option elsewhere; and no age decides anything."""
    file = tmp_path / "server.pid"
    file.write_text(f"{os.getpid()}\n")
    os.utime(file, (1702123456, 1702123456))
    seen = kinds.look(str(file))
    assert seen.modified == 1702123456 * 10**9
    assert seen.age == pytest.approx(time.time() - 1702123456, abs=60)


# -- T-014: notifications --------------------------------------------------------------------


def test_send_notification_on_linux_with_notify_send(machine):
    """Real ones are in tests/real/test_notifications.py; a Mac's is played in tests/test_notify_worker.py."""
    delivery = _send(machine)
    assert (delivery.shown, delivery.by) == (True, "desktop (notify-send)")
    assert machine.told == [("Sentinel: Test", "Message")]


def test_graceful_fallback_without_notification_support(machine):
    """It is an answer with the reason, and no error; that it is logged all the same, T-007's second scenario sees."""
    (machine.root / "bin" / "notify-send").unlink()
    delivery = _send(machine)
    assert delivery.shown is False
    assert "is installed" in delivery.why


def _send(machine):
    async def send():
        notifier = Notifier([Desktop(deadline=20, environ=machine.environ)])
        return await notifier.send(Message("Test", "Message"))

    return asyncio.run(send())


# -- T-019: costs ----------------------------------------------------------------------------


def test_registry_update_performance_and_cleanup_service_scalability(where):
    """A hundred sessions: of a thousand heartbeats none fails, and the fifty that are dead are found."""
    crowd = [subprocess.Popen(["sleep", "600"]) for _ in range(100)]
    try:
        with Registry(where, tell=lambda _: None) as registry:
            for number, process in enumerate(crowd):
                registry.register(f"session-{number}", pid=process.pid)
            for beat in range(1000):
                registry.heartbeat(f"session-{beat % 100}")
            registry.check()
            for process in crowd[:50]:
                process.kill()
                process.wait()
            assert {entry.id for entry in registry.stale(60)} == {f"session-{number}" for number in range(50)}
    finally:
        for process in crowd:
            process.kill()
            process.wait()


def test_heartbeat_process_overhead(stage):
    """There is no such process: a registered session costs none, not even for a moment."""
    stage.agent()
    stage.start("bash", "-c", "echo $$ > session; exec sleep 600")
    session = stage.pid("session")
    before = sorted(stage.everyone())
    stage.sentinel("session", "register", "session-001", "--pid", str(session))
    assert json.loads(stage.sentinel("session", "show", "session-001", "--json").stdout)["status"] == "active"
    assert sorted(stage.everyone()) == before
