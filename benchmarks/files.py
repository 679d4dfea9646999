"""How soon a file that appears or vanishes is known."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

from benchmarks.lab import Lab, dismiss, first_line
from benchmarks.table import Figure, percentile, spread

_PAUSE = 0.012
"""Seconds between two changes: a lone event, and not a batch."""


def files(lab: Lab, changes: int) -> Iterator[Figure]:
    """Create and unlink, told by the agent's own source and by the least that can tell it."""
    ours = _spans(lab, [lab.python, "-m", "benchmarks.files_probe"], changes)
    floor = _spans(lab, [lab.actor("inotify")], changes)
    for index, what in enumerate(("created", "unlinked")):
        yield Figure(
            f"file {what} -> event in the loop",
            f"{spread(ours[index])} ms",
            f"{spread(floor[index])} ms",
            percentile(ours[index], 50) / percentile(floor[index], 50),
        )


def _spans(lab: Lab, probe: Sequence[str], changes: int) -> tuple[list[float], list[float]]:
    """Milliseconds from each creation and each unlinking to the word on it."""
    directory = lab.directory / f"files-{os.path.basename(probe[-1])}"
    directory.mkdir()
    done: list[tuple[int, int]] = []
    process = lab.start([*probe, str(directory)], {"PYTHONPATH": lab.library, "PATH": os.environ["PATH"]})
    try:
        first_line(process)
        for number in range(changes):
            path = directory / str(number)
            created = time.monotonic_ns()
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC))
            time.sleep(_PAUSE)
            unlinked = time.monotonic_ns()
            path.unlink()
            time.sleep(_PAUSE)
            done.append((created, unlinked))
    finally:
        said = dismiss(process)
    told: dict[int, list[int]] = {}
    for line in said.splitlines():
        name, at = line.split()
        told.setdefault(int(name), []).append(int(at))
    spans = [
        ((told[number][0] - created) / 1e6, (told[number][-1] - unlinked) / 1e6)
        for number, (created, unlinked) in enumerate(done)
    ]
    return [span[0] for span in spans], [span[1] for span in spans]
