"""The judgement on its own: a look at a process of a dead session, and the verdict.

    verdict_probe.py COUNT

Bears a session of ten, kills its root, and judges the others by turns, COUNT times each; prints
how many ns each judgement took, one a line, and then the same for all ten in one look.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from sentinel.core.facts import Death, ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Condemned
from sentinel.handlers.examiner import Examiner, find_ourselves
from sentinel.observe.handles import Handles
from sentinel.observe.surroundings import input_of

CHILDREN = 10


def bear() -> tuple[int, list[int]]:
    """A root in a session of its own, and its children."""
    told, tell = os.pipe()
    root = os.fork()
    if root == 0:
        os.setsid()
        for _ in range(CHILDREN):
            if (child := os.fork()) == 0:
                signal.alarm(600)
                while True:
                    signal.pause()
            os.write(tell, f"{child} ".encode())
        signal.pause()
    children: list[int] = []
    while len(children) < CHILDREN:
        children += map(int, os.read(told, 1024).split())
    return root, children


def main(count: int) -> None:
    """Judge, and say how long it took."""
    root, children = bear()
    ledger, handles = Ledger(), Handles()
    examiner = Examiner(ledger, handles, Policy, find_ourselves())
    who = handles.take(root)
    if not isinstance(who, ProcessId):
        sys.exit("the root is gone")
    now = time.monotonic()
    record = ledger.open(Session(Kind.AGENT, "bench", who, input=input_of(who.pid)), now)
    known = [child for pid in children if isinstance(child := handles.take(pid), ProcessId)]
    for child in known:
        ledger.enter(child, root, now)
    os.kill(root, signal.SIGKILL)
    os.waitpid(root, 0)
    ledger.exited(root, Death(time.monotonic(), signal.SIGKILL))
    try:
        for child in known * count:
            began = time.perf_counter_ns()
            verdict = examiner.verdict(child)
            took = time.perf_counter_ns() - began
            if not isinstance(verdict, Condemned):
                sys.exit(f"not what was to be measured: {verdict}")
            print("one", took)
        for _ in range(count):
            began = time.perf_counter_ns()
            examiner.left_by(record)
            print("all", time.perf_counter_ns() - began)
    finally:
        for child in known:
            os.kill(child.pid, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
