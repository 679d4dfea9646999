"""What a lock costs, and whether one is lost where many want it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lab import Lab
from benchmarks.lock_race import race
from benchmarks.table import Figure, percentile, spread
from sentinel.locks import Lock

_MILLION = 1_000_000


def locks(lab: Lab, count: int) -> Iterator[Figure]:
    """Take a lock and give it back, beside mkdir(2) and rmdir(2); then race for one."""
    ours, floor = _spans(Path(lab.directory), count)
    yield Figure(
        "lock taken and given back",
        f"{spread(ours)} ms",
        f"{spread(floor)} ms",
        percentile(ours, 50) / percentile(floor, 50),
    )
    for naive in (False, True):
        place = Path(os.path.realpath(lab.directory), f"race-{'naive' if naive else 'ours'}")
        place.mkdir()
        it = race(place, count, naive=naive)
        per_million = f"{it.lost * _MILLION / it.taken:,.0f} of 1,000,000" if it.lost else f"0 of {it.taken:,}"
        yield Figure(
            f"live locks lost to 4 contenders and a cleaner{', check then act' if naive else ''}",
            per_million,
            goal="" if naive else "0",
            met=None if naive else it.lost == 0,
            grave=not naive,
        )


def _spans(directory: Path, count: int) -> tuple[list[float], list[float]]:
    ours, floor = [], []
    for _ in range(count):
        began = time.perf_counter()
        with Lock(directory / "it.lock"):
            pass
        between = time.perf_counter()
        (directory / "it").mkdir()
        (directory / "it").rmdir()
        ours.append((between - began) * 1e3)
        floor.append((time.perf_counter() - between) * 1e3)
    return ours, floor
