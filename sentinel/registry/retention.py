"""What is forgotten of sessions that are over, and when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sentinel.registry import logs

if TYPE_CHECKING:
    from sentinel.config import Registry as Wishes
    from sentinel.registry.registry import Registry

_HOUR = 3600.0
_DAY = 24 * _HOUR


def prune(registry: Registry, wishes: Wishes) -> tuple[int, int]:
    """Forget sessions that have been over for long enough, and remove their old logs; returns how many of each.

    Raises:
        SentinelError: The registry cannot be read or written.
    """
    forgotten = registry.forget_ended(wishes.keep_ended * _HOUR)
    removed = logs.prune(registry.logs, registry.sessions(), time.time() - wishes.keep_logs * _DAY)
    return forgotten, removed
