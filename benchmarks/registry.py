"""What it costs to say that one lives, and to see who does not: Sentinel's registry beside SpecWeave's way."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lab import Lab, dismiss, first_line
from benchmarks.registry_probe import SESSIONS
from benchmarks.table import Figure, percentile, spread

_WRITERS = 4
_HEARTBEAT = 5.0
"""Milliseconds, on the average."""
_SCAN = 500.0
"""Milliseconds."""
_EVERY = 5.0
"""Seconds between two heartbeats of SpecWeave's."""


def registry(lab: Lab, count: int) -> Iterator[Figure]:
    """Heartbeats by one writer and by four, a look for stale sessions, and one heartbeat by the command line."""
    directory = lab.directory / "registry"
    directory.mkdir(0o700)
    os.chown(directory, lab.uid, lab.uid)
    _probes(lab, "sentinel", directory, "fill", 0)
    for writers in (1, _WRITERS):
        each = count // writers
        took = {
            way: _probes(lab, way, directory, "session-{}", each, writers=writers) for way in ("sentinel", "specweave")
        }
        mean = sum(took["sentinel"]) / len(took["sentinel"])
        yield Figure(
            f"registry of {SESSIONS} sessions: {count:,} heartbeats by {writers} at once (beside: mkdir lock and JSON)",
            f"{spread(took['sentinel'])} ms",
            f"{spread(took['specweave'])} ms",
            percentile(took["sentinel"], 50) / percentile(took["specweave"], 50),
            f"mean <= {_HEARTBEAT:.0f} ms",
            mean <= _HEARTBEAT,
        )
    scans = _probes(lab, "sentinel", directory, "scan", 20)
    yield Figure(
        f"registry of {SESSIONS} sessions: the {SESSIONS // 2} that are dead",
        f"{spread(scans)} ms",
        goal=f"<= {_SCAN:.0f} ms",
        met=max(scans) <= _SCAN,
    )
    yield _by_command_line(lab, directory)


def _probes(lab: Lab, way: str, directory: Path, what: str, count: int, *, writers: int = 1) -> list[float]:
    """Milliseconds of each operation of all writers, who begin together."""
    words = [lab.python, "-m", "benchmarks.registry_probe", way, str(directory)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": lab.library}
    probes = [lab.start([*words, what.format(number), str(count)], environment) for number in range(writers)]
    if count:
        for probe in probes:
            first_line(probe)
    took: list[float] = []
    for probe in probes if not count else _begin(probes):
        took += [int(line) / 1e6 for line in dismiss(probe).splitlines()]
        if probe.returncode:
            raise subprocess.CalledProcessError(probe.returncode, words)
    return took


def _begin(probes: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for probe in probes:
        if probe.stdin is not None:
            probe.stdin.write("go\n")
            probe.stdin.flush()
    return probes


def _by_command_line(lab: Lab, directory: Path) -> Figure:
    """No process beats by itself here; a script that wants to pays for this."""
    environment = {f"SENTINEL_{name}_DIR": str(directory) for name in ("STATE", "RUNTIME", "CONFIG")}
    environment |= {"PATH": "/usr/bin:/bin", "PYTHONPATH": lab.library}
    script = f"for n in 1 2 3 4 5 6 7 8 9 10; do {' '.join(lab.sentinel)} session heartbeat session-0; done; times"
    process = lab.start(["sh", "-c", script], environment)
    said, _ = process.communicate()
    *_, children = said.splitlines()
    seconds = sum(60 * float(part.partition("m")[0]) + float(part.partition("m")[2][:-1]) for part in children.split())
    share = seconds / 10 / _EVERY * 100
    return Figure(
        "sentinel session heartbeat: CPU, and of a core where one beats every 5 s",
        f"{seconds * 100:.0f} ms, {share:.1f} %",
        goal="no process of its own (SpecWeave's: < 1 %, < 10 MB)",
    )
