"""Time that passes only when nobody has anything to do, and a loop that lives by it.

A history of minutes is played in milliseconds, and the same history is played alike twice.
"""

from __future__ import annotations

import asyncio
import selectors
import time


class Clock:
    """Stands in for the module ``time`` where the agent asks what time it is."""

    CLOCK_BOOTTIME = time.CLOCK_BOOTTIME
    CLOCK_MONOTONIC = time.CLOCK_MONOTONIC

    def __init__(self) -> None:
        self.now = 0.0
        self.slept = 0.0
        """Seconds for which the machine was suspended."""
        self.set_by = 0.0
        """Seconds by which somebody has set the wall clock."""

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now + self.slept + self.set_by

    def thread_time(self) -> float:
        return 0.0

    def clock_gettime(self, which: int) -> float:
        return self.now + (self.slept if which == self.CLOCK_BOOTTIME else 0.0)


class _Leaping(selectors.SelectSelector):
    """Nothing here waits on a descriptor: to wait is to leap to the next timer."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing will ever happen")
        self._clock.now += max(0.0, timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """An event loop in which time leaps."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(_Leaping(clock))
        self._clock = clock
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._clock.now
