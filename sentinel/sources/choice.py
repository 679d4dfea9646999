"""Which source tells of births and ends here: the best one that proves that it works."""

from __future__ import annotations

import asyncio
from typing import Protocol

from sentinel.bus import Bus
from sentinel.config import Config
from sentinel.core.ledger import Ledger
from sentinel.errors import SourceUnavailable
from sentinel.sources.connector import ProcConnector


class ProcessSource(Protocol):
    """Tells of births and ends: the proc connector, or samples."""

    @property
    def name(self) -> str:
        """What ``sentinel status`` calls it."""

    @property
    def sampled(self) -> bool:
        """Whether births are found by comparing samples, and not told by the kernel."""

    def open(self) -> None:
        """Get ready, or raise ``SourceUnavailable``."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Publish from now on."""

    def drain(self) -> None:
        """Publish what happened up to now."""

    def close(self) -> None:
        """Stop."""


def open_source(config: Config, bus: Bus, ledger: Ledger) -> tuple[ProcessSource, str]:
    """The best process source that serves here, and why not a better one."""
    why = "the configuration asks for it"
    if config.sources.processes == "auto":
        connector = ProcConnector(bus, ledger)
        try:
            connector.open()
        except SourceUnavailable as error:
            why = str(error)
        else:
            return connector, ""
    from sentinel.sources.polling import Polling

    polling = Polling(bus, ledger, config.sources.poll_interval)
    polling.open()
    return polling, why
