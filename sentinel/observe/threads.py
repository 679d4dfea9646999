"""What all the threads of a process tell together (Linux): its children, and what it does when its first has ended."""

from __future__ import annotations

import os

from sentinel.core.facts import Unknown

_LOOKS = 4
"""At children, while threads end, each of which hands its own on to another that may have been asked before, or
while children end: the kernel counts places in its list, and passes one over (in 1 look of 210,000)."""


def children(pid: int) -> list[int] | Unknown:
    """The pids of its children now, of all its threads (CONFIG_PROC_CHILDREN, which distributions set).

    Whoever was passed over stood behind one that has ended: only what is told twice alike is all.
    """
    question = f"which children process {pid} has"
    before: dict[str, bytes] | None = None
    for _ in range(_LOOKS):
        now: dict[str, bytes] = {}
        ended = ""
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                try:
                    now[thread] = _read(f"/proc/{pid}/task/{thread}/children")
                except (FileNotFoundError, ProcessLookupError) as error:
                    ended = str(error)
        except OSError as error:
            return Unknown(question, str(error))
        if not ended and now == before:
            return [int(child) for listed in now.values() for child in listed.split()]
        before = now
    return Unknown(question, ended or "they come and go")


def state_of_others(pid: int) -> tuple[str, int] | None:
    """What a process does whose first thread has ended, and who traces it: the kernel's letter, and a pid or 0.

    None when none of the other threads lives that could be read. One that is stopped or traced
    speaks for all.
    """
    found: tuple[str, int] | None = None
    try:
        others = [thread for thread in os.listdir(f"/proc/{pid}/task") if thread != str(pid)]
    except OSError:
        return None
    for thread in others:
        try:
            status = _read(f"/proc/{pid}/task/{thread}/status")
            state, tracer = field(status, b"State")[:1].decode("ascii"), int(field(status, b"TracerPid"))
        except (OSError, ValueError):
            continue
        if state in "Tt" or tracer:
            return state, tracer
        if state not in "ZX":
            found = state, tracer
    return found


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def field(status: bytes, name: bytes) -> bytes:
    """The value of a line of /proc/PID/status. The name of the process, its first line, is escaped there."""
    start = status.index(b"\n" + name + b":\t") + len(name) + 3
    return status[start : status.index(b"\n", start)]
