"""Measure everything that was promised, and print the table: ``make bench``.

Takes six minutes, and 40 seconds with ``--quick``; needs root, gcc and strace. Figures
in milliseconds mean little on a machine that does other things at the same time: read the
ratio to the floor, which suffers alike. Exit status 1: something was missed or hurt.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

from benchmarks.commands import commands, views
from benchmarks.deaths import latency, soak, wrapped
from benchmarks.files import files
from benchmarks.follow import follow
from benchmarks.hooks import hooks
from benchmarks.idle import idle
from benchmarks.lab import CannotMeasureError, Lab
from benchmarks.load import load
from benchmarks.locks import locks
from benchmarks.notices import notices
from benchmarks.projects import projects
from benchmarks.registry import registry
from benchmarks.sweep import sweep
from benchmarks.table import Figure, machine, table
from benchmarks.tmux import tmux
from benchmarks.verdict import verdict

Part = Callable[[Lab, int], Iterator[Figure]]
PARTS: Mapping[str, tuple[Part, int, int]] = {
    "latency": (latency, 300, 40),
    "verdict": (verdict, 200, 40),
    "run": (wrapped, 25, 5),
    "idle": (idle, 60, 5),
    "load": (load, 15, 2),
    "soak": (soak, 300, 30),
    "commands": (commands, 20, 5),
    "views": (views, 10, 3),
    "follow": (follow, 50, 10),
    "files": (files, 200, 40),
    "locks": (locks, 3000, 300),
    "projects": (projects, 25, 5),
    "tmux": (tmux, 25, 5),
    "sweep": (sweep, 5, 1),
    "notices": (notices, 400, 50),
    "hooks": (hooks, 500, 60),
    "registry": (registry, 1000, 200),
}
"""What is measured, in order: by what, how much of it, and how much when it shall be quick."""


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a glimpse, in 40 seconds")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part (may be said more than once)")
    parser.add_argument("--amount", type=int, help="rounds, runs or seconds of each part")
    wishes = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):  # to be left in good order, also when a shell has us ignore Ctrl-C
        signal.signal(number, _leave)
    about, began = machine(), time.monotonic()
    figures: list[Figure] = []
    try:
        with Lab() as lab:
            for name in wishes.only or PARTS:
                part, many, few = PARTS[name]
                print(f"{time.monotonic() - began:4.0f} s  {name}", file=sys.stderr, flush=True)
                figures += part(lab, wishes.amount or (few if wishes.quick else many))
    except CannotMeasureError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    print(table(figures))
    print("\nFour numbers are median, 90th and 99th percentile and maximum; ratios are of medians.")
    print(f"{about}; {time.monotonic() - began:.0f} s")
    return int(any(figure.grave and figure.met is False for figure in figures))


def _leave(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
