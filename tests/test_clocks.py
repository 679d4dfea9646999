from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from sentinel import clocks


def test_both_clocks_go_on_and_only_one_of_them_can_be_set(monkeypatch):
    before = clocks.now("b")
    monkeypatch.setattr(time, "time", lambda: before.wall + 86400.0)
    after = clocks.now("b")
    assert after.wall == before.wall + 86400.0
    assert 0 <= after.since(before) < 60


@pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
def test_since_the_boot_is_what_the_kernel_calls_its_uptime():
    before = clocks.since_boot()
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert before - 1 < uptime < clocks.since_boot() + 1
