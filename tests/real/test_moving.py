"""What forks for ever when its session dies: a hopper and a hydra.

A hopper lives in one process at a time, which bears the next and ends; a hydra bears one that
does not heed SIGTERM every 50 us. All of it is to be found, and nobody beside it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from itertools import count

import pytest

from tests.lab.grove import build_actors
from tests.lab.stage import alive, until

pytestmark = [pytest.mark.real, pytest.mark.soak]

WISHES = "[notify]\nenabled = false\n[budget]\ncauses = 1000000\nshare = 1\n[policy.agent]\ngrace = 0.3\n"
PAUSES = [50, 0] * (20 if os.environ.get("SENTINEL_SOAK") == "full" else 1)
"""Microseconds between two hops."""
HEADS = 400
FOR = 20
"""Seconds after which a hopper ends by itself, if nobody ends it."""


@pytest.fixture
def source():
    """A sample would see next to nothing of either."""
    if os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
        pytest.skip("missing: the initial pid namespace")
    return "connector"


@pytest.fixture
def plant(stage):
    """Starts an agent with a child that takes these steps once it gets SIGUSR1, and returns both pids."""
    stage.configure(WISHES)
    build_actors(stage)
    numbers = count()

    def plant(*steps):
        plan = stage.home / f"plan{next(numbers)}"
        words = ["0 setsid", "0 be claude", "0 bear 1", "0 says", "1 lead pipe", "1 be puma", "1 says", "1 await"]
        stage.file(plan.name, "\n".join([*words, *(f"1 {step}" for step in steps), ""]))
        stage.start("env", f"TREE={plan}:0:0", "bin/server")
        told = stage.home / f"{plan.name}.told"

        def ready():
            lines = told.read_text().splitlines() if told.exists() else []
            pids = {words[1]: int(words[2]) for words in map(str.split, lines) if words[0] == "ready"}
            return (pids["0"], pids["1"]) if len(pids) == 2 else None

        return until(ready, "the plan's standing")

    return plant


def living(stage, name):
    """Who runs the program of that name."""
    found = []
    for pid in stage.everyone():
        try:
            if os.readlink(f"/proc/{pid}/exe").endswith(f"/bin/{name}"):
                found.append(pid)
        except OSError:
            continue
    return found


def nobody_holds(path):
    """Whether all are gone that had the lock from the first: a single look at what hops would miss it."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.parametrize("pause", PAUSES, ids=lambda pause: f"{pause}us")
def test_a_hopper_is_caught(stage, plant, pause):
    stage.agent()
    root, hopper = plant(f"hold {stage.home}/held", f"hop {pause} {FOR}")
    bystanders = [stage.start("bin/puma").pid for _ in range(3)]
    other, calm = plant()
    stage.kill(hopper, signal.SIGUSR1)
    until(lambda: not alive(hopper), "its first hop")
    stage.kill(root)
    until(lambda: nobody_holds(stage.home / "held"), "the hopper's end", FOR - 5)
    assert all(alive(pid) for pid in (*bystanders, calm, other))


def test_all_heads_of_a_hydra_are_found(stage, plant):
    stage.agent()
    root, hydra = plant(f"hold {stage.home}/held", f"hydra 50 {HEADS}")
    bystanders = {stage.start("bin/puma").pid for _ in range(3)}
    stage.kill(hydra, signal.SIGUSR1)
    time.sleep(0.005)
    stage.kill(root)
    until(lambda: nobody_holds(stage.home / "held"), "the end of all heads")
    time.sleep(0.5)
    assert set(living(stage, "puma")) == bystanders
