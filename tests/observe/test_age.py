from __future__ import annotations

import subprocess
import time
from types import SimpleNamespace

from sentinel.core.facts import ProcessId
from sentinel.observe import age, processes

TICK = 1 / processes.ticks_per_second()


def test_a_process_is_born_between_before_and_after_its_birth():
    before = time.monotonic()
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        after = time.monotonic()
        who = processes.identify(process.pid)
        earliest, born = age.age(who), age.born_at(who)
        latest = time.monotonic() - before
        process.kill()
    assert earliest <= latest + TICK
    assert before - TICK <= born
    assert born - TICK <= after + (latest - earliest)  # as long as we may not have been let run


def test_while_the_machine_sleeps_a_process_grows_older(monkeypatch):
    """It cannot be put to sleep here: a stand-in for its clocks, which sleep has driven apart by 400 s."""
    monkeypatch.setattr(age, "since_boot", lambda: 500.0)
    monkeypatch.setattr(age, "time", SimpleNamespace(monotonic=lambda: 100.0))
    monkeypatch.setattr(age, "sys", SimpleNamespace(platform="linux"))
    monkeypatch.setattr(age, "ticks_per_second", lambda: 100)
    assert age.age(ProcessId(17, 45000)) == 50.0
    assert age.born_at(ProcessId(17, 45000)) == 50.0


def test_elsewhere_start_times_count_from_the_epoch(monkeypatch):
    """A stand-in for macOS."""
    monkeypatch.setattr(age, "since_boot", None)
    monkeypatch.setattr(age, "time", SimpleNamespace(time=lambda: 1_700_000_000.0, monotonic=lambda: 100.0))
    monkeypatch.setattr(age, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(age, "ticks_per_second", lambda: 1_000_000)
    assert age.age(ProcessId(17, 1_699_999_990_000_000)) == 10.0
    assert age.born_at(ProcessId(17, 1_699_999_990_000_000)) == 90.0
