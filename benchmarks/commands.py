"""How long a person waits for the command line."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Collection, Iterator, Sequence

from benchmarks.idle import SESSIONS
from benchmarks.lab import Agent, Lab
from benchmarks.table import Figure

REFERENCE = 12.0
"""Milliseconds that ``python -c pass`` takes on the machine that the goals were set for."""
_CROWD = 2000


def commands(lab: Lab, runs: int) -> Iterator[Figure]:
    """Medians of commands run by turns, against an interpreter that does nothing."""
    goals = {"--help": 80.0, "status": 100.0, "sessions": None, "events": None}
    with lab.agent() as agent, lab.running([lab.actor("crowd"), str(SESSIONS), lab.actor("claude"), "session", "2"]):
        agent.wait_for("session.opened", SESSIONS)
        took: dict[str, list[float]] = {name: [] for name in ("", *goals)}
        for _ in range(runs):
            for name, spans in took.items():
                spans.append(_time(lab, agent, [*lab.sentinel, name] if name else [lab.python, "-c", "pass"]))
    floor = statistics.median(took[""])
    for name, goal in goals.items():
        yield _against(f"sentinel {name}, median of {runs}", statistics.median(took[name]), floor, goal)


def views(lab: Lab, runs: int) -> Iterator[Figure]:
    """What looks at the whole machine, where 2,000 other processes of the same user are."""
    crowd = [lab.actor("crowd"), str(_CROWD), lab.actor("worker"), "idle"]
    with lab.agent() as agent, lab.running(crowd) as process:
        goals = {("explain", str(process.pid)): 150.0, ("doctor",): 2000.0, ("clean", "--dry-run"): None}
        took: dict[tuple[str, ...], list[float]] = {words: [] for words in ((), *goals)}
        for _ in range(runs):
            for words, spans in took.items():
                argv = [*lab.sentinel, *words] if words else [lab.python, "-c", "pass"]
                spans.append(_time(lab, agent, argv, well=(0, 1, 2)))
    floor = statistics.median(took[()])
    for words, goal in goals.items():
        what = f"sentinel {words[0]}, median of {runs} ({_CROWD:,} other processes)"
        yield _against(what, statistics.median(took[words]), floor, goal)


def _against(what: str, value: float, floor: float, goal: float | None) -> Figure:
    """A time, and whether it is as many floors as the goal is on the machine that it was set for."""
    met, text = None, ""
    if goal is not None:
        ratio = goal / REFERENCE
        met, text = value / floor <= ratio, f"<= {goal:,.0f} ms where the floor is {REFERENCE:.0f} ({ratio:.1f}x)"
    return Figure(what, f"{value:.0f} ms", f"{floor:.0f} ms", value / floor, text, met)


def _time(lab: Lab, agent: Agent, argv: Sequence[str], well: Collection[int] = (0,)) -> float:
    began = time.perf_counter()
    process = lab.start(argv, agent.environment)
    process.communicate()
    took = (time.perf_counter() - began) * 1e3
    if process.returncode not in well:
        raise subprocess.CalledProcessError(process.returncode, argv)
    return took
