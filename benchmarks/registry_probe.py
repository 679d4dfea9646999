"""One writer of a registry: beats for a session again and again, by Sentinel's way or SpecWeave's.

    registry_probe.py (sentinel | specweave) DIRECTORY (fill | scan | SESSION) COUNT

SpecWeave keeps all sessions in one JSON file, which each writer reads and replaces while it
has made the directory that is the lock; who finds that made tries again every 50 ms. That is its
src/utils/session-registry.ts, in Python, without the start of a Node.js for each beat.

Prints the nanoseconds of each operation, one a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sentinel import paths
from sentinel.core.facts import ProcessId
from sentinel.observe import processes
from sentinel.registry.entries import Place
from sentinel.registry.registry import Registry
from sentinel.registry.store import Store

SESSIONS = 100
_SPECWEAVES_PAUSE = 0.05


def main(way: str, directory: Path, what: str, count: int) -> None:
    """Do it, and print how long each took."""
    where = paths.Paths(directory, directory, directory)
    if what == "fill":
        _fill(where)
        return
    with Registry(where, record=lambda _: None, tell=lambda _: None) as registry:
        if what == "scan":
            operation: Callable[[], object] = registry.stale
        elif way == "sentinel":
            operation = lambda: registry.heartbeat(what)  # noqa: E731 - one of two ways
        else:
            operation = lambda: _their_heartbeat(directory, what)  # noqa: E731 - the other
        operation()
        print("ready", flush=True)
        sys.stdin.readline()
        took = []
        for _ in range(count):
            began = time.perf_counter_ns()
            operation()
            took.append(time.perf_counter_ns() - began)
    print(*took, sep="\n")


def _fill(where: paths.Paths) -> None:
    """100 sessions, half of them of a process that has ended, in both ways."""
    dead = subprocess.Popen(["true"])
    gone = processes.identify(dead.pid)
    dead.wait()
    ours = processes.identify(os.getppid())
    theirs: dict[str, dict[str, object]] = {}
    here = Registry(where).here
    with Store(where.registry) as store:
        for number in range(SESSIONS):
            who = gone if number % 2 else ours
            _register(store, number, who, here)
            theirs[f"session-{number}"] = {
                "session_id": f"session-{number}", "pid": number, "type": "claude-code", "status": "active",
                "started_at": "2026-11-21T10:00:00Z", "last_heartbeat": "2026-11-21T10:00:00Z",
                "child_pids": [1, 2, 3],
            }  # fmt: skip
    (where.state / "registry.json").write_text(json.dumps({"sessions": theirs}, indent=2))


def _register(store: Store, number: int, who: object, here: Place) -> None:
    if not isinstance(who, ProcessId):
        raise TypeError(f"nobody can tell who process {number} is: {who}")
    store.register(f"session-{number}", who, here, kind="claude-code", project="/srv/shop")


def _their_heartbeat(directory: Path, session: str) -> None:
    lock, path = directory / ".registry.lock", directory / "registry.json"
    while True:
        try:
            lock.mkdir()
            break
        except FileExistsError:
            time.sleep(_SPECWEAVES_PAUSE)
    try:
        data = json.loads(path.read_text())
        data["sessions"][session]["last_heartbeat"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        fresh = directory / f"registry.json.{os.getpid()}"
        fresh.write_text(json.dumps(data, indent=2))
        fresh.rename(path)
    finally:
        lock.rmdir()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
