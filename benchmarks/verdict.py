"""What a judgement costs by itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from benchmarks.lab import Lab, dismiss
from benchmarks.table import Figure, percentile, spread

_CROWD = 2000
_GOAL = 1.0
"""Milliseconds."""


def verdict(lab: Lab, count: int) -> Iterator[Figure]:
    """Judge processes of a dead session on a machine with 2,000 others of the same user."""
    probe = [lab.python, "-m", "benchmarks.verdict_probe", str(count)]
    with lab.running([lab.actor("crowd"), str(_CROWD), lab.actor("worker"), "idle"]):
        process = lab.start(probe, {"PATH": "/usr/bin:/bin", "PYTHONPATH": lab.library})
        said = dismiss(process)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, probe)
    took: dict[str, list[float]] = {"one": [], "all": []}
    for line in said.splitlines():
        what, ns = line.split()
        took[what].append(int(ns) / 1e6)
    where = f"{_CROWD:,} other processes"
    met = percentile(took["one"], 50) <= _GOAL
    yield Figure(
        f"verdict on one process ({where})", f"{spread(took['one'])} ms", goal=f"p50 <= {_GOAL:.0f} ms", met=met
    )
    yield Figure(f"verdicts on the ten of a dead session in one look ({where})", f"{spread(took['all'])} ms")
