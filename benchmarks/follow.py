"""How long until ``sentinel events --follow`` shows what was written down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

from benchmarks.lab import Lab, dismiss, until
from benchmarks.table import Figure, percentile, spread

_GOAL = 10.0
"""Milliseconds."""
_PATIENCE = 10.0
"""Seconds for it to end. A bound, no measure."""
_REST = 0.05
"""Seconds after which whoever follows sleeps again."""


def follow(lab: Lab, rounds: int) -> Iterator[Figure]:
    """From the moment that is in a record, which is that before it is written, to its line in a pipe."""
    took: list[float] = []
    with lab.agent() as agent:
        follower = lab.start([*lab.sentinel, "events", "--follow", "-n", "0", "-o", "json"], agent.environment)

        def listen() -> None:
            for line in follower.stdout or ():
                took.append((time.monotonic_ns() - json.loads(line)["monons"]) / 1e6)  # noqa: PERF401 - each when it comes

        ear = threading.Thread(target=listen, daemon=True)
        ear.start()
        until(lambda: _seen_one(lab, took), "the first line")
        took.clear()
        for _ in range(rounds):
            before = len(took)
            with lab.running([lab.actor("crowd"), "1", lab.actor("claude"), "session", "2"]):
                until(lambda so_far=before: len(took) > so_far, "a line")  # type: ignore[misc]
                time.sleep(_REST)
            time.sleep(_REST)
        follower.terminate()
        ear.join(_PATIENCE)
        dismiss(follower)
    yield Figure(
        f"written down -> shown by events --follow ({len(took)} lines)",
        f"{spread(took)} ms",
        goal=f"p50 <= {_GOAL:.0f} ms",
        met=percentile(took, 50) <= _GOAL,
    )


def _seen_one(lab: Lab, took: list[float]) -> bool:
    with lab.running([lab.actor("crowd"), "1", lab.actor("claude"), "session", "2"]):
        time.sleep(_REST)
    return bool(took)
