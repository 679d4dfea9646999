"""The fallback: sample the process table with psutil.

It serves where the kernel tells nothing of births: macOS, old kernels, containers. It sees
a process only if that lives through a sample, and who bore it only while the parent lives
or is known; what it did not see born is in no ledger and is not ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container

import psutil

from sentinel.bus import Bus
from sentinel.core.events import ProcessExecuted, ProcessExited, ProcessForked, SourceDegraded
from sentinel.core.facts import Death

_YOUNG = 2.0
"""Seconds for which a process is looked at again in each sample: a shell's child is still the
shell for a moment, and a tmux server renames itself a little after its birth."""


class Polling:
    """Publishes births and ends found by comparing samples.

    Args:
        bus: Where events go.
        watched: Which pids' children and ends are told.
        interval: Seconds between samples.
        clock: Monotonic seconds.
    """

    name = "polling"
    sampled = True

    def __init__(
        self,
        bus: Bus,
        watched: Container[int],
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._watched = watched
        self._interval = interval
        self._clock = clock
        self._known: frozenset[int] = frozenset()
        self._young: dict[int, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._failing = False

    def open(self) -> None:
        """Take the first sample: what lives now is found by a look, not by its birth."""
        self._known = frozenset(psutil.pids())

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sample from now on."""
        self._loop = loop
        self._timer = loop.call_later(self._interval, self._tick)

    def close(self) -> None:
        """Stop sampling."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop = None

    def _tick(self) -> None:
        if self._loop is None:
            return
        self._timer = self._loop.call_later(self._interval, self._tick)
        self.drain()

    def drain(self) -> None:
        """Take a sample now, and publish what it shows."""
        try:
            now = frozenset(psutil.pids())
        except (psutil.Error, OSError) as error:
            if not self._failing:
                self._failing = True
                self._bus.publish(SourceDegraded(self.name, f"no sample could be taken: {error}"))
            return
        self._failing = False
        born, ended = now - self._known, self._known - now
        self._known = now
        self._births(born)
        for pid in ended:
            self._young.pop(pid, None)
            if pid in self._watched:
                self._bus.publish(ProcessExited(pid, Death(self._clock())))

    def _births(self, born: frozenset[int]) -> None:
        at = self._clock()
        # The young that nobody owns are asked once more: whoever bore one may have ended while
        # the sample was taken, unseen, and whom it fell to then is watched.
        lost = [pid for pid in self._young if pid not in self._watched]
        parents = {pid: parent for pid in (*lost, *born) if (parent := _parent_of(pid)) is not None}
        for pid in _parents_first(parents):
            since = self._young.setdefault(pid, at)
            if parents[pid] in self._watched:
                self._bus.publish(ProcessForked(parents[pid], pid, since))
        for pid, since in list(self._young.items()):
            self._bus.publish(ProcessExecuted(pid))
            if at - since > _YOUNG:
                del self._young[pid]


def _parent_of(pid: int) -> int | None:
    try:
        return psutil.Process(pid).ppid()
    except psutil.Error:
        return None


def _parents_first(parents: dict[int, int]) -> list[int]:
    """The pids of one sample, so that a parent comes before its children."""
    ordered: dict[int, None] = {}
    for pid in parents:
        line = [pid]
        while (pid := parents.get(pid, 0)) in parents and pid not in ordered and pid not in line:
            line.append(pid)
        ordered.update(dict.fromkeys(reversed(line)))
    return list(ordered)
