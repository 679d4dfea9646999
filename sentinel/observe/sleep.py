"""How long the machine has slept."""

from __future__ import annotations

import time

from sentinel.clocks import since_boot


def slept() -> float:
    """Seconds that the machine has slept since its boot."""
    return since_boot() - time.monotonic()
