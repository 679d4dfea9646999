"""How long the machine has slept."""

from __future__ import annotations

import time

from sentinel.observe.sleep import slept


def test_this_machines_own_sleep_does_not_grow_while_it_is_awake():
    before = slept()
    time.sleep(0.05)
    assert abs(slept() - before) < 0.04
    assert before > -0.001
