"""Locks that are taken over without end: a short share here, a million by `make soak`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks.lock_race import race
from tests.handlers.room import moves_files

pytestmark = [
    pytest.mark.soak,
    moves_files,
    pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"),
]

ROUNDS = 1_000_000 if os.environ.get("SENTINEL_SOAK") == "full" else 200


@pytest.mark.parametrize("naive", [False, True])
def test_of_all_that_are_taken_over_none_is_lost_and_the_naive_way_loses_some(naive):
    with tempfile.TemporaryDirectory() as directory:
        it = race(Path(directory).resolve(), min(ROUNDS, 10_000) if naive else ROUNDS, naive=naive)
    assert it.taken >= min(ROUNDS, 10_000)
    assert (it.lost > 0) == naive
    assert naive or it.cleaned > 0
