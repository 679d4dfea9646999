"""Tells that the machine slept: what happened meanwhile was told to nobody.

The kernel wakes us: a timer of ``timerfd_create(2)`` that is to be cancelled when the
wall clock is set is cancelled at each resume, too. So nothing has to look at a clock now
and then. Where there is none, and besides, each death asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator

from sentinel.bus import Bus
from sentinel.core.events import SessionDied, Woke
from sentinel.observe.sleep import slept

_WORTH_TELLING = 5.0
"""Seconds of sleep."""
_LATER = 10 * 365 * 86400
"""Seconds until the timer itself would go off."""
_CLOCK_REALTIME = 0
_ABSTIME_AND_CANCEL_ON_SET = 1 | 2
_ITIMERSPEC = struct.Struct("llll")


class Clock:
    """Publishes ``Woke`` after a sleep.

    Args:
        catch_up: Publishes what the kernel has told up to now: who looks at everything has to
            know of the births before it finds the deaths.
        asleep: How long the machine has slept, ever; seconds.
    """

    def __init__(self, bus: Bus, catch_up: Callable[[], None], asleep: Callable[[], float] = slept) -> None:
        self._bus = bus
        self._catch_up = catch_up
        self._asleep = asleep
        self._before = asleep()
        self._fd = -1
        bus.subscribe(SessionDied, lambda _: self.check())

    @contextlib.contextmanager
    def heard_on(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Be woken for as long as the context lasts, where the kernel does that."""
        if sys.platform == "linux":
            self._fd = ctypes.CDLL(None).timerfd_create(_CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            yield
            return
        self._arm()
        loop.add_reader(self._fd, self._cancelled)
        try:
            yield
        finally:
            loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def check(self) -> None:
        """Tell if the machine has slept since the last look."""
        now = self._asleep()
        for_so_long, self._before = now - self._before, now
        if for_so_long > _WORTH_TELLING:
            self._catch_up()
            self._bus.publish(Woke(for_so_long))

    def _cancelled(self) -> None:
        with contextlib.suppress(OSError):  # ECANCELED is what we wait for
            os.read(self._fd, 8)
        self._arm()
        self.check()

    def _arm(self) -> None:
        when = _ITIMERSPEC.pack(0, 0, int(time.time()) + _LATER, 0)
        ctypes.CDLL(None).timerfd_settime(self._fd, _ABSTIME_AND_CANCEL_ON_SET, when, None)
