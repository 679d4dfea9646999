"""A bound on work whose length somebody else's text decides."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sentinel.errors import SentinelError


@contextmanager
def at_most(seconds: float, otherwise: SentinelError) -> Iterator[None]:
    """Give up what is done within after so many seconds, in the main thread.

    A search with ``re`` may take longer than the universe has existed; it looks at signals meanwhile.

    Raises:
        SentinelError: ``otherwise``.
    """

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise otherwise

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
