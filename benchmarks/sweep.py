"""How long the sweep of many dead tmux sockets takes."""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lab import CannotMeasureError, Lab
from benchmarks.table import Figure
from sentinel.handlers.dead_sockets import FRESH

_SOCKETS = 5_000
_GOAL = 1.0
"""Seconds, at worst."""


def sweep(lab: Lab, rounds: int) -> Iterator[Figure]:
    """Start an agent beside 5,000 dead sockets and one file that is none, and read how long it was about them."""
    took = [_round(lab, number) for number in range(rounds)]
    what = f"{_SOCKETS:,} dead tmux sockets swept, median and worst of {rounds}"
    measured = f"{statistics.median(took) * 1e3:.0f} / {max(took) * 1e3:.0f} ms"
    yield Figure(what, measured, goal=f"< {_GOAL * 1e3:,.0f} ms", met=max(took) < _GOAL)


def _round(lab: Lab, number: int) -> float:
    """Seconds from the intent until the last one was removed."""
    temporary = Path(lab.directory, f"sweep-{number}")
    place = temporary / f"tmux-{lab.uid}"
    place.mkdir(parents=True, mode=0o700)
    for path in (temporary, place):
        os.chown(path, lab.uid, lab.uid)
    (place / "no-socket").touch()
    os.chdir(place)  # the whole path may be too long for a socket's
    for name in map(str, range(_SOCKETS)):
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(name)
        os.chown(name, lab.uid, lab.uid)
    os.chdir("/")
    time.sleep(FRESH)  # whatever is younger may be about to be used
    with lab.agent(environ={"TMUX_TMPDIR": str(temporary)}) as agent:
        agent.wait_for("tmux.swept", 1)
        swept = next(record["data"] for record in agent.journal() if record["type"] == "dev.sentinel.tmux.swept")
    if swept["removed"] != _SOCKETS or os.listdir(place) != ["no-socket"]:
        raise CannotMeasureError(f"{swept['removed']} of {_SOCKETS} were removed, and {len(os.listdir(place))} stay")
    return float(swept["duration"])
