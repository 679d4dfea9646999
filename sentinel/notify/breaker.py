"""A circuit breaker: what failed three times in a row is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

FAILURES = 3
PAUSE = 60.0
"""Seconds without an attempt. The attempt after them decides about the next pause."""


class Breaker:
    """Counts failures in a row; says when not to try."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._last = ""
        self._until = 0.0

    def refusal(self) -> str:
        """Why there should be no attempt now, as a sentence; "" when there may be one."""
        left = self._until - self._clock()
        if self._failures < FAILURES or left <= 0:
            return ""
        at = time.strftime("%H:%M:%S", time.localtime(time.time() + left))
        return f"notifications failed {self._failures} times, next try at {at} (last: {self._last})"

    def record(self, failure: str) -> None:
        """Note the end of an attempt: why it failed, or "" when it did not."""
        if not failure:
            self._failures = 0
            return
        self._failures += 1
        self._last = failure
        self._until = self._clock() + PAUSE
