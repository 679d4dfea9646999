from __future__ import annotations

import time

from sentinel import clocks


def test_both_clocks_go_on_and_only_one_of_them_can_be_set(monkeypatch):
    before = clocks.now("b")
    monkeypatch.setattr(time, "time", lambda: before.wall + 86400.0)
    after = clocks.now("b")
    assert after.wall == before.wall + 86400.0
    assert 0 <= after.since(before) < 60
    assert clocks.since_boot() >= time.monotonic() - 1
