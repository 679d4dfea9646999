"""Deaths without end: roots with daemons among their children, killed one after the other.

A short share here; `make soak` plays ten thousand rounds.
"""

from __future__ import annotations

import os
import shutil

import pytest

from benchmarks.deaths import ENDS_DAEMONS, play
from benchmarks.lab import Lab

pytestmark = [pytest.mark.real, pytest.mark.soak]

ROUNDS = 10_000 if os.environ.get("SENTINEL_SOAK") == "full" else 30


def test_of_all_that_dead_sessions_leave_nothing_is_missed_and_nobody_else_is_hurt():
    """Every other child forks twice, makes a session of its own and scrubs its environment."""
    if os.geteuid() != 0:
        pytest.skip("missing: root (to run as a user of its own)")
    if shutil.which("gcc") is None:
        pytest.skip("missing: gcc")
    if os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
        pytest.skip("missing: the initial pid namespace")
    with Lab() as lab, lab.agent(ENDS_DAEMONS) as agent:
        deaths = play(lab, ROUNDS, shape="mixed", floor=False)
        assert agent.process.poll() is None
    assert deaths.rounds >= ROUNDS
    assert (deaths.missed, deaths.hurt) == (0, 0)
