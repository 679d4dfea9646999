"""Random trees of real processes under the real agent: nobody is ended who must live, and every orphan is.

A share here; ``make soak`` plays 2,000 trees with the kernel's word on each birth, and 300 with samples.
"""

from __future__ import annotations

import os

import pytest

from tests.lab.grove import GRACE, Grove
from tests.real.conftest import POLLING

pytestmark = [pytest.mark.real, pytest.mark.soak]

FULL, SHARE = {"connector": 2000, "polling": 300}, {"connector": 32, "polling": 4}
TREES = FULL if os.environ.get("SENTINEL_SOAK") == "full" else SHARE
FIRST = int(os.environ.get("SENTINEL_SEED", "1"))
"""To see one tree again that went wrong, with its neighbours."""
AT_ONCE = {"connector": 16, "polling": 4}
WISHES = f"[notify]\nenabled = false\n[budget]\ncauses = 1000000\nshare = 1\n[policy.default]\ngrace = {GRACE}\n"


def test_nobody_is_ended_who_must_live_and_every_orphan_is(stage, source):
    stage.configure((POLLING if source == "polling" else "") + WISHES)
    stage.agent()
    grove = Grove(stage, 0.05 if source == "polling" else 0.0)
    end = FIRST + int(os.environ.get("SENTINEL_TREES", TREES[source]))
    for seed in range(FIRST, end, AT_ONCE[source]):
        grove.play(range(seed, min(seed + AT_ONCE[source], end)))
    harvest = grove.harvest
    print(harvest)  # noqa: T201 - the figures are what one runs it for
    assert not harvest.wrong, str(harvest)
    assert len(harvest.missed) <= 0.001 * harvest.doomed, str(harvest)
    assert harvest.doomed > end - FIRST
