"""When a process was born: on Linux its start time counts from the boot, elsewhere from the epoch."""

from __future__ import annotations

import sys
import time

from sentinel.clocks import since_boot
from sentinel.core.facts import ProcessId
from sentinel.observe.processes import ticks_per_second


def age(who: ProcessId) -> float:
    """Seconds since it was born, a tick of the kernel too many at most. The machine's sleep counts."""
    now = since_boot() if sys.platform == "linux" else time.time()
    return now - who.start / ticks_per_second()


def born_at(who: ProcessId) -> float:
    """When it was born, in monotonic seconds.

    If we are not let run while we look, it is later than that: who seems too young is taken for somebody else.
    """
    so_far = age(who)
    return time.monotonic() - so_far
