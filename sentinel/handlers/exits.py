"""What the handlers want of whoever waits for the ends of single processes."""

from __future__ import annotations

from typing import Protocol

from sentinel.core.facts import ProcessId


class Exits(Protocol):
    """Publishes ``ProcessExited`` for the processes it was told to watch."""

    def watch(self, who: ProcessId) -> bool:
        """Publish the end of ``who`` once. False: it cannot be waited for."""

    def forget(self, who: ProcessId) -> None:
        """Stop watching; called before the handle is dropped."""
