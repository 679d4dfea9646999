"""Sessions of the registry, with the real agent, real scripts and real deaths."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest

from tests.handlers.room import becomes
from tests.lab.stage import alive, interpreter, until
from tests.real.conftest import write

pytestmark = pytest.mark.real

SENTINEL = " ".join(interpreter()) if os.getuid() == 0 and sys.platform == "linux" else ""
SOON = "[policy.default]\ngrace = 0.2\n"
"""A death that nobody saw is acted on after the grace."""
DAEMON = "setsid sleep 600 </dev/null >/dev/null 2>&1"


@pytest.fixture
def source():
    """One source is enough here: a registered session is watched like any other, and that is tried under both."""
    if os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
        pytest.skip("missing: the initial pid namespace")
    return "connector"


def listed(stage, *options):
    return json.loads(stage.sentinel("session", "list", "--json", *options).stdout)


def script(name, rest):
    """A script that registers itself, and says so in a file."""
    return f"{SENTINEL} session register {name} --kind cron > registered.tmp && mv registered.tmp registered; {rest}"


def start(stage, name, rest):
    process = stage.start("bash", "-c", script(name, rest))
    until((stage.home / "registered").exists, "its being registered")
    (stage.home / "registered").unlink()
    return process


def test_what_a_registered_script_left_and_named_is_ended_and_a_stranger_lives(stage):
    agent = stage.agent()
    bystander = stage.start("bash", "-c", "exec -a daemon sleep 600")
    rest = f"""
        sleep 600 & {write("plain")}
        ({DAEMON} & {write("named")}); {SENTINEL} session child nightly $(cat named)
        ({DAEMON} & {write("own")})
        touch named-it; sleep 600; true"""
    root = start(stage, "nightly", rest)
    plain, named, own = (stage.pid(name) for name in ("plain", "named", "own"))
    until((stage.home / "named-it").exists, "the child being named")
    becomes(own, "sleep")  # before, it may have no session of its own yet
    shown = stage.watched("nightly")
    assert (shown["session_kind"], shown["title"], shown["pid"]) == ("registered", 'session "nightly"', root.pid)
    stage.kill(root.pid)
    until(lambda: not any(alive(pid) for pid in (plain, named)), "their end")
    assert stage.record("session.judged", "nightly")
    assert alive(own)  # it was daemonised, and nobody named it
    assert alive(bystander.pid)
    until(lambda: not listed(stage), "the registry hearing of it")
    (entry,) = listed(stage, "--all")
    assert entry["why"] == "it was killed by SIGKILL"
    evidence = stage.sentinel("explain", str(named)).stdout
    assert "its session named it as a child before it died" in evidence
    assert agent.poll() is None


def test_what_was_registered_without_an_agent_is_watched_by_the_next(stage):
    root = start(stage, "nightly", f"sleep 600 & {write('plain')}; touch ready; sleep 600; true")
    plain = stage.pid("plain")
    stage.agent()
    assert stage.watched("nightly")["pid"] == root.pid
    stage.kill(root.pid)
    until(lambda: not alive(plain), "its end")


def test_what_died_while_there_was_no_agent_is_closed_and_what_it_named_is_ended(stage):
    rest = f"({DAEMON} & {write('named')}); {SENTINEL} session child nightly $(cat named); touch ready; sleep 600; true"
    root = start(stage, "nightly", rest)
    named = stage.pid("named")
    until((stage.home / "ready").exists, "the child being named")
    stage.kill(root.pid)
    root.wait()
    (stale,) = listed(stage, "--stale")
    assert (stale["id"], stale["standing"]) == ("nightly", "dead")
    assert alive(named)
    stage.configure(SOON)
    stage.agent()
    until(lambda: not listed(stage), "its entry being closed")
    until(lambda: not alive(named), "its end")


def test_the_entry_that_a_killed_agent_left_is_closed_by_the_next(stage):
    stage.configure(SOON)
    agent = stage.agent()
    root = start(stage, "nightly", f"sleep 600 & {write('plain')}; sleep 600; true")
    plain = stage.pid("plain")
    ledger = stage.home / "state" / "ledger.json"
    until(lambda: ledger.exists() and f"{plain}," in ledger.read_text(), "the agent having written down both")
    stage.kill(agent.pid, signal.SIGKILL)
    agent.wait()
    stage.kill(root.pid)
    root.wait()
    stage.agent()
    until(lambda: not listed(stage), "its entry being closed")
    until(lambda: not alive(plain), "its end")
    assert len(stage.journal("session.died")) == 1


def test_one_that_says_it_is_over_and_ends_is_cleaned_up_after(stage):
    stage.agent()
    rest = f"sleep 600 & {write('plain')}; {SENTINEL} session end nightly; touch over; sleep 1; exit 0"
    root = start(stage, "nightly", rest)
    plain = stage.pid("plain")
    root.wait(timeout=30)
    until(lambda: not alive(plain), "its end")
    assert listed(stage) == []


def test_a_registry_that_is_damaged_under_the_agent_is_rebuilt_and_nothing_ended(stage):
    agent = stage.agent()
    root = start(stage, "nightly", f"sleep 600 & {write('plain')}; touch ready; sleep 600; true")
    plain = stage.pid("plain")
    stage.watched("nightly")
    for suffix in ("", "-wal", "-shm"):
        (stage.home / "state" / f"registry.db{suffix}").unlink(missing_ok=True)
    stage.file("state/registry.db", "rubbish" * 999, 0o600)
    shown = stage.sentinel("session", "list", "--json")
    assert [entry["id"] for entry in json.loads(shown.stdout)] == ["nightly"]
    assert "was damaged, set aside as" in shown.stderr
    assert alive(root.pid)
    assert alive(plain)
    assert agent.poll() is None
    stage.kill(root.pid)
    until(lambda: not alive(plain), "its end")
    until(lambda: not listed(stage), "the registry hearing of it")


PROGRAM = """
import os, subprocess, sys, time
from sentinel import Registry

DAEMON = "import os, time; os.setsid(); print(os.fork() or time.sleep(600))"

with Registry() as registry:
    registry.register("program", labels={"written": "in Python"})
    quiet = subprocess.DEVNULL
    born = subprocess.Popen([sys.executable, "-c", DAEMON], stdin=quiet, stdout=subprocess.PIPE, stderr=quiet)
    far = int(born.stdout.readline())
    registry.add_child("program", far)
    with open("far.tmp", "w") as file:
        file.write(str(far))
    os.rename("far.tmp", "far")
time.sleep(600)
"""


def test_a_program_registers_itself_by_the_library(stage):
    stage.agent()
    *environ, _, _, _ = interpreter()
    stage.file("program.py", PROGRAM)
    program = stage.start(*environ, "program.py")
    far = stage.pid("far")
    stage.watched("program")
    stage.kill(program.pid)
    until(lambda: not alive(far), "its end")
