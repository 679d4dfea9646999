"""The configuration while the agent runs: read again when it is told to, and never half."""

from __future__ import annotations

from collections.abc import Callable

from sentinel.bus import Bus
from sentinel.config import Config
from sentinel.core.events import ConfigurationRead
from sentinel.errors import ConfigError

Load = Callable[[], Config]


class Wishes:
    """What the person wishes now.

    Args:
        now: As it was read at the start.
        load: Reads it again, or raises ``ConfigError``.
    """

    def __init__(self, bus: Bus, now: Config, load: Load) -> None:
        self._bus = bus
        self._load = load
        self._at_start = now
        self.now = now

    def read_again(self) -> None:
        """Take the file as it is now. One that is wrong is refused as a whole, and the wishes stay."""
        try:
            self.now = self._load()
        except ConfigError as error:
            self._bus.publish(ConfigurationRead(str(error)))
        else:
            self._bus.publish(ConfigurationRead(later=tuple(self._for_the_next_start())))

    def _for_the_next_start(self) -> list[str]:
        """What is used once, at the start, and is another now."""
        before, now = self._at_start, self.now
        changed = {
            "sources": before.sources != now.sources,
            "registry": before.registry != now.registry,
            "notify.enabled": before.notify.enabled != now.notify.enabled,
            "notify.deadline": before.notify.deadline != now.notify.deadline,
            "notify.ways": before.notify.ways != now.notify.ways,
        }
        return [name for name, is_other in changed.items() if is_other]
