"""How long the machine has slept."""

from __future__ import annotations

import sys
import time


def slept() -> float:
    """Seconds that the machine has slept since its boot."""
    # macOS has no CLOCK_BOOTTIME; there CLOCK_MONOTONIC goes on in sleep, and time.monotonic() does not.
    goes_on = time.CLOCK_BOOTTIME if sys.platform == "linux" else time.CLOCK_MONOTONIC
    return time.clock_gettime(goes_on) - time.monotonic()
