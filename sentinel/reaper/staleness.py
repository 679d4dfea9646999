"""How old a judgement is when it comes to the act.

Between the two the intent goes to the journal, on a disk that may be busy; and whoever judges may
be stopped (``SIGSTOP``, Ctrl-Z), or not be given its turn. The world goes on meanwhile: a debugger
attaches, a client connects, a person says pause.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_LONGEST = 0.25
"""Seconds of doing nothing. What a look at very many processes takes is work, and counts for nothing here:
else it would never be done with."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The moment at which a look was begun, by this thread."""

    _began: float = field(default_factory=time.monotonic)
    _worked: float = field(default_factory=time.thread_time)

    @property
    def is_stale(self) -> bool:
        """Whether the world went on for longer without us than a look may be believed (0.6 us)."""
        return time.monotonic() - self._began - (time.thread_time() - self._worked) > _LONGEST
