"""When a look is too old to act by."""

from __future__ import annotations

import time
from types import SimpleNamespace

from sentinel.reaper import staleness
from sentinel.reaper.staleness import Glimpse


def test_what_waited_is_stale_and_what_worked_is_not(monkeypatch):
    monkeypatch.setattr(staleness, "_LONGEST", 0.2)
    looked = Glimpse()
    assert not looked.is_stale
    time.sleep(0.25)
    assert looked.is_stale


def test_work_makes_nothing_stale_however_long_it_takes(monkeypatch):
    """A look at thousands would never be done with. The clocks are set: how much we get of a processor is not ours."""
    now, worked = iter((5.0, 15.1)), iter((1.0, 11.0))
    clocks = SimpleNamespace(monotonic=lambda: next(now), thread_time=lambda: next(worked))
    monkeypatch.setattr(staleness, "time", clocks)
    assert not Glimpse(clocks.monotonic(), clocks.thread_time()).is_stale
