"""How long a person waits for the verbs of a project, started with honcho: that is there wherever Sentinel is."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.commands import REFERENCE
from benchmarks.lab import CannotMeasureError, Lab
from benchmarks.table import Figure

_LOOK = 150.0
"""Milliseconds that a look at a project may take."""
_STOP = 2000.0 + 100.0
"""Milliseconds that a stop may take: the default grace, and a little."""


def projects(lab: Lab, runs: int) -> Iterator[Figure]:
    """Look at a project of three servers, ask for a start that is none, stop it and start it again."""
    project = _Project(lab)
    took: dict[str, list[float]] = {"status": [], "pre-flight": [], "stop": [], "floor": []}
    try:
        for _ in range(max(1, runs // 5)):
            project.time("start")
            for _ in range(3):
                took["floor"].append(project.floor())
                took["status"].append(project.time("status", "."))
                took["pre-flight"].append(project.time("start"))
            took["stop"].append(project.time("stop"))
    finally:
        project.time("stop", "--level", "aggressive")
    said = {"status": "sentinel status PROJECT", "pre-flight": "sentinel start, of what runs already"}
    floor = statistics.median(took["floor"])
    for name, what in said.items():
        value = statistics.median(took[name])
        ratio = _LOOK / REFERENCE
        goal = f"<= {_LOOK:.0f} ms where the floor is {REFERENCE:.0f} ({ratio:.1f}x)"
        title = f"{what}, median of {len(took[name])}"
        yield Figure(title, f"{value:.0f} ms", f"{floor:.0f} ms", value / floor, goal, value / floor <= ratio)
    value = statistics.median(took["stop"])
    title = f"sentinel stop, of 3 processes, median of {len(took['stop'])}"
    yield Figure(title, f"{value:.0f} ms", goal=f"<= {_STOP:.0f} ms", met=value <= _STOP)


class _Project:
    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._directory = Path(lab.directory, "shop")
        home = Path(lab.directory, "home")
        for folder in (self._directory, home):
            folder.mkdir()
            os.chown(folder, lab.uid, lab.uid)
        serve = f"{lab.python} -m http.server --bind 127.0.0.1"
        ports = _free_ports(3)
        procfile = self._directory / "Procfile"
        procfile.write_text("".join(f"web{n}: exec {serve} {port}\n" for n, port in enumerate(ports)))
        wishes = self._directory / "sentinel.toml"
        wishes.write_text(f"[project]\nports = {ports}\n")
        for file in (procfile, wishes):
            os.chown(file, lab.uid, lab.uid)
        self._environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": lab.library}
        self._environment |= {
            f"SENTINEL_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "STATE", "RUNTIME")
        }

    def floor(self) -> float:
        """Milliseconds that an interpreter takes which does nothing."""
        return self._timed([self._lab.python, "-c", "pass"])

    def time(self, *words: str) -> float:
        """Milliseconds that a verb takes."""
        return self._timed([*self._lab.sentinel, *words])

    def _timed(self, words: Sequence[str]) -> float:
        began = time.perf_counter()
        command = ["env", "-C", str(self._directory), *words]
        done = self._lab.start(command, self._environment, subprocess.STDOUT)
        said, _ = done.communicate()
        took = (time.perf_counter() - began) * 1e3
        if done.returncode:
            raise CannotMeasureError(f"{' '.join(words)}: {said}")
        return took


def _free_ports(number: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
