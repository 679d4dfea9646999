"""How long a coding agent waits for its hook, with an agent that listens and with none."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.commands import REFERENCE
from benchmarks.lab import Agent, CannotMeasureError, Lab
from benchmarks.table import Figure, percentile, spread

_GOAL = 40.0
"""Milliseconds for 99 of 100."""
_PAYLOAD = '{"session_id":"0f8","hook_event_name":"Stop","background_tasks":[{"id":"b1","command":"npm run dev"}]}'


def hooks(lab: Lab, runs: int) -> Iterator[Figure]:
    """The whole process, start of the interpreter included, against an interpreter that does nothing."""
    hook = [*lab.sentinel, "hook", "claude", "Stop"]
    floor: list[float] = []
    told: list[float] = []
    with lab.agent() as agent:
        for _ in range(runs):
            floor.append(_time(lab, agent, [lab.python, "-c", "pass"]))
            told.append(_time(lab, agent, hook))
        heard = agent.count("hook.fired")
    spool = Path(agent.environment["SENTINEL_RUNTIME_DIR"], "spool")
    left = [_time(lab, agent, hook) for _ in range(min(runs, 200))]  # the spool holds 256
    waiting = len(list(spool.iterdir()))
    if waiting < len(left):
        raise CannotMeasureError(f"only {waiting} of {len(left)} hooks are in the spool")
    yield _figure(f"a hook, heard by the agent: {heard} of {runs}", told, floor, lost=heard != runs)
    yield _figure("a hook, left in the spool", left, floor, lost=False)


def _figure(what: str, took: Sequence[float], floor: Sequence[float], *, lost: bool) -> Figure:
    times, most = percentile(took, 99) / percentile(floor, 99), _GOAL / REFERENCE
    goal = f"99 of 100 <= {_GOAL:.0f} ms where the floor's are {REFERENCE:.0f} ({most:.1f}x), none lost"
    ratio = percentile(took, 50) / percentile(floor, 50)
    return Figure(
        what, spread(took) + " ms", spread(floor) + " ms", ratio, goal, times <= most and not lost, grave=lost
    )


def _time(lab: Lab, agent: Agent, argv: Sequence[str]) -> float:
    began = time.perf_counter()
    process = lab.start(argv, agent.environment)
    process.communicate(_PAYLOAD)
    took = (time.perf_counter() - began) * 1e3
    if process.returncode:
        raise CannotMeasureError(f"{' '.join(argv)} ended with status {process.returncode}")
    return took
