"""What the agent costs while nothing happens."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import gauges
from benchmarks.lab import CannotMeasureError, Lab, until
from benchmarks.table import Figure

SESSIONS = 20
_CHILDREN = 2
_LARGEST = 30.0
"""MiB."""
_SETTLE = 4.0
"""Seconds after the last session's birth: the last look for its sockets comes after 3."""
_FOLLOWS = 0.1
"""Seconds for which a pause that is over still belongs to the wake-up before: a storm of notices
is read with pauses, and its end is seen when nothing more comes."""

_WAIT = re.compile(
    r"(?P<thread>\d+) +(?P<at>\d+\.\d+) (?P<resumed><\.\.\. )?"
    r"(?:epoll_p?wait2?|p?poll|p?select6?|futex|clock_nanosleep|nanosleep|restart_syscall)\b"
    r".* = (?P<result>-?\d+).* <(?P<took>\d+\.\d+)>"
)
"""A finished wait in the log of ``strace -ttt -T``: said when it began, or when it was resumed."""
_RECEIVED = re.compile(r"(?P<thread>\d+) +(?P<at>\d+\.\d+) (?:recvfrom|recvmsg|accept4?)\(.* = [1-9]")


@dataclass(frozen=True, slots=True)
class Wakeups:
    """How often a process stopped waiting, and how often because its time was over."""

    all: int
    uncaused: int


def idle(lab: Lab, seconds: float) -> Iterator[Figure]:
    """Watch 20 sessions in which nothing happens."""
    crowd = [lab.actor("crowd"), str(SESSIONS), lab.actor("claude"), "session", str(_CHILDREN)]
    with lab.agent() as agent, lab.running(crowd):
        agent.wait_for("session.opened", SESSIONS)
        time.sleep(_SETTLE)
        before = gauges.cpu(agent.pid)
        wakeups = watch(agent.pid, seconds, lab.directory / "idle.strace")
        spent = gauges.cpu(agent.pid) - before
        share = 100 * spent / seconds
        what = f"idle with {SESSIONS} sessions"
        caused = f" ({wakeups.all} in all: others' forks and execs)" if wakeups.all else ""
        yield Figure(
            f"{what}: wake-ups that nothing caused in {seconds:.0f} s",
            f"{wakeups.uncaused}{caused}",
            goal="0",
            met=wakeups.uncaused == 0,
        )
        yield Figure(f"{what}: CPU", f"{share:.3f} % ({spent * 1e3:.1f} ms)", goal="0.0 %", met=round(share, 1) == 0)
        resident = gauges.resident(agent.pid)
        yield Figure(
            f"{what}: RSS",
            f"{resident:.1f} MiB ({gauges.private(agent.pid):.1f} private)",
            goal=f"<= {_LARGEST:.0f} MiB",
            met=resident <= _LARGEST,
        )
        threads = gauges.threads(agent.pid)
        yield Figure(f"{what}: threads", str(threads), goal="1, and watchdog's", met=threads in {1, 2})
        yield Figure(f"{what}: open descriptors", f"{gauges.descriptors(agent.pid)}")


def watch(pid: int, seconds: float, log: Path) -> Wakeups:
    """Count how often a process stops waiting, by its system calls.

    Args:
        pid: The process; strace stays attached to it, threads and all, for the time.
        seconds: How long.
        log: Where strace writes.

    Raises:
        CannotMeasureError: There is no strace, or it may not trace.
    """
    if shutil.which("strace") is None:
        raise CannotMeasureError("counting wake-ups needs strace: apt-get install strace")
    strace = subprocess.Popen(["strace", "-f", "-ttt", "-T", "-o", log, "-p", str(pid)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: strace.poll() is not None or gauges.status(pid, "TracerPid") == strace.pid, "strace")
        time.sleep(0.5)  # attaching interrupts a wait, which is taken up again
        began = time.time()
        time.sleep(seconds)
        ended = time.time()
    finally:
        strace.terminate()
        strace.wait()
    return count(log.read_text().splitlines(), began, ended)


def count(lines: Iterable[str], began: float, ended: float) -> Wakeups:
    """Count wake-ups in the log of ``strace -f -ttt -T`` between two wall-clock times.

    Something caused a wake-up if the wait returned what is ready, or if its time was over and
    there was something to receive: so a storm of notices is read.
    """
    every = uncaused = 0
    last_cause = 0.0
    in_doubt: set[str] = set()  # threads whose time was over, and that have received nothing since
    for line in lines:
        if (received := _RECEIVED.match(line)) is not None:
            in_doubt.discard(received["thread"])
            last_cause = float(received["at"])
        if (wait := _WAIT.match(line)) is None:
            continue
        uncaused += wait["thread"] in in_doubt
        in_doubt.discard(wait["thread"])
        at = float(wait["at"]) + (0.0 if wait["resumed"] else float(wait["took"]))
        if not began <= at <= ended or wait["result"] == "-1":  # a signal: strace comes and goes with one
            continue
        every += 1
        if wait["result"] != "0":
            last_cause = at
        elif at - last_cause > _FOLLOWS:
            in_doubt.add(wait["thread"])
    return Wakeups(every, uncaused + len(in_doubt))
