"""How long the machine has slept."""

from __future__ import annotations

import time
from statistics import median

from sentinel.observe.sleep import slept


def test_this_machines_own_sleep_does_not_grow_while_it_is_awake():
    before = steadily()
    time.sleep(0.05)
    assert abs(steadily() - before) < 0.04
    assert before > -0.001


def steadily():
    """What most looks say: one in whose middle we are stopped tells of a sleep of that length."""
    return median(slept() for _ in range(9))
