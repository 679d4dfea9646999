"""Figures, and the table that they are printed in."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value beside the least that it can be, and what was promised."""

    what: str
    measured: str
    """Where there are four numbers: median, 90th and 99th percentile, maximum."""
    floor: str = ""
    """The same, done by the least that can do it, in the same run."""
    ratio: float | None = None
    """Measured by floor, of the medians."""
    goal: str = ""
    met: bool | None = None
    """None: nothing was promised."""
    grave: bool = False
    """A missed goal is an error and not a slow machine."""


HEADS = ("figure", "measured", "floor", "ratio", "goal", "met")


def table(figures: Iterable[Figure]) -> str:
    """The figures as a table that reads well in a terminal and in Markdown."""
    rows = [HEADS, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|-" + "-|-".join("-" * width for width in widths) + "-|")
    return "\n".join(lines)


def _cells(figure: Figure) -> tuple[str, ...]:
    met = {None: "", True: "yes", False: "NO"}[figure.met]
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2g}" if figure.ratio < 10 else f"{figure.ratio:.0f}"  # noqa: PLR2004 - two digits
    return (figure.what, figure.measured, figure.floor, ratio, figure.goal, met)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent are not above (nearest rank); NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def spread(values: Sequence[float]) -> str:
    """Median, 90th and 99th percentile and maximum, in the unit of the values."""
    return " / ".join(f"{percentile(values, percent):.2f}" for percent in (50, 90, 99, 100))


def machine() -> str:
    """What the figures were measured on."""
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    processes = sum(entry.isdigit() for entry in os.listdir("/proc"))
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, Python {platform.python_version()}, "
        f"{processes} processes and a load of {load:.1f} before we began"
    )
