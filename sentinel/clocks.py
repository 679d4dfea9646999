"""The clocks of this machine: the one that tells the day, and the one that nobody can set."""

from __future__ import annotations

import sys
import time

from sentinel.core.moments import Moment

if sys.platform == "linux":
    _GOES_ON = time.CLOCK_BOOTTIME
else:  # macOS: there CLOCK_MONOTONIC goes on in sleep, and time.monotonic() does not
    _GOES_ON = time.CLOCK_MONOTONIC


def since_boot() -> float:
    """Seconds since the machine was started, its sleep among them."""
    return time.clock_gettime(_GOES_ON)


def day_and_time(at: float) -> str:
    """A time in wall-clock seconds as people read it here."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def now(boot: str) -> Moment:
    """This moment.

    Args:
        boot: The kernel's id of this boot.
    """
    return Moment(time.time(), boot, since_boot())
