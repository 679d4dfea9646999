"""Four who want one lock, and one who cleans up: is a lock that somebody holds ever lost?

Each holder dies in it, as far as the others can see: what it leaves names an identity that has
ended. ``naive`` is what scripts do: read the number, see that it is dead, remove, make anew.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import dataclass, replace
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from sentinel.core.actions import RemoveLock, Result
from sentinel.core.rules.locks import LockFacts, LockKind, Shape
from sentinel.core.verdicts import Stale
from sentinel.locks import Holder, Lock, LockHeld
from sentinel.locks.holder import encode
from sentinel.locks.kinds import look
from sentinel.reaper import removals
from sentinel.reaper.quarantine import moment, prune

CONTENDERS = 4
_CHUNK = 64
_TURN = 0.0002
"""Seconds that one waits for the next try. Who only spins keeps the others from the processor:
five on two of them took a sixth of the locks in the same time."""
_SWEEP = 0.0005
"""Seconds between the cleaner's looks."""
_PRUNED_AFTER = 1000


@dataclass(frozen=True, slots=True)
class Race:
    """What came of one."""

    taken: int
    cleaned: int
    """Of those that had been left, how many the cleaner took away before another took them over."""
    lost: int
    """Locks that were somebody else's, or gone, while their holder was inside."""
    seconds: float


def race(directory: Path, rounds: int, *, naive: bool = False) -> Race:
    """Have the lock taken over so often.

    Args:
        directory: An empty one.
        rounds: Take-overs altogether.
        naive: With a protocol that checks, then acts.
    """
    context = multiprocessing.get_context("fork")
    taken, cleaned, lost = (context.Value("q", 0) for _ in range(3))
    contend, clean = (_contend_naively, _clean_naively) if naive else (_contend, _clean)
    path = directory / "it.lock"
    began = time.monotonic()
    crew = [context.Process(target=contend, args=(path, rounds, taken, lost)) for _ in range(CONTENDERS)]
    crew.append(context.Process(target=clean, args=(path, rounds, taken, cleaned)))
    for process in crew:
        process.start()
    for process in crew:
        process.join()
    if any(process.exitcode for process in crew):
        raise RuntimeError(f"a contender failed: {[process.exitcode for process in crew]}")
    return Race(taken.value, cleaned.value, lost.value, time.monotonic() - began)


Count = Synchronized  # of integers: generic only to type checkers


def _contend(path: Path, rounds: int, taken: Count[int], lost: Count[int]) -> None:
    me = Holder.of(os.getpid())
    dead = encode(Holder(me.pid, me.start - 1, me.boot, me.host, me.namespace))
    mine = 0
    while taken.value < rounds:
        lock = Lock(path, timeout=0)
        try:
            held = lock.acquire()
        except LockHeld:
            time.sleep(_TURN)
            continue
        if not _is_mine(path, encode(held)):
            _add(lost, 1)
        _leave(path, dead)
        mine += 1
        if mine == _CHUNK:
            _add(taken, mine)
            mine = 0
    _add(taken, mine)


def _clean(path: Path, rounds: int, taken: Count[int], cleaned: Count[int]) -> None:
    quarantine, number = path.parent / "quarantine", 0
    while taken.value < rounds:
        facts = look(str(path))
        if not isinstance(facts, LockFacts) or facts.ended is not True:
            time.sleep(_SWEEP)
            continue
        stale = Stale(str(path), facts.device, facts.inode, ("it is dead",))
        outcome = removals.remove(RemoveLock(stale, LockKind.OURS, Shape.FILE), quarantine, _is_dead)
        if outcome.result is Result.REMOVED:
            _add(cleaned, 1)
        number += 1
        if number % _PRUNED_AFTER == 0:
            now = moment()
            prune(quarantine, replace(now, up=now.up + 10 * 86400))


def _is_dead(aside: str) -> bool:
    facts = look(aside)
    return isinstance(facts, LockFacts) and facts.ended is True


def _contend_naively(path: Path, rounds: int, taken: Count[int], lost: Count[int]) -> None:
    mine, me = 0, b"%d alive\n" % os.getpid()
    while taken.value < rounds:
        _clean_once_naively(path)
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            continue
        os.write(fd, me)
        if not _is_mine(path, me):
            _add(lost, 1)
        os.pwrite(fd, b"%d dead. \n" % os.getpid(), 0)
        os.close(fd)
        mine += 1
        if mine == _CHUNK:
            _add(taken, mine)
            mine = 0
    _add(taken, mine)


def _clean_naively(path: Path, rounds: int, taken: Count[int], _: Count[int]) -> None:
    while taken.value < rounds:
        _clean_once_naively(path)


def _clean_once_naively(path: Path) -> None:
    try:
        if b"dead" in path.read_bytes():
            path.unlink()
    except FileNotFoundError:
        pass


def _is_mine(path: Path, content: bytes) -> bool:
    """Whether, after others had their turn, the lock is still what its holder wrote."""
    os.sched_yield()
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False


def _leave(path: Path, dead: bytes) -> None:
    """Die in it: from now on the lock names somebody who has ended. Nobody else may write to it."""
    with open(path, "r+b") as file:
        file.write(dead)
        file.truncate()


def _add(count: Count[int], number: int) -> None:
    with count.get_lock():
        count.value += number
