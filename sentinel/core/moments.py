"""Points in time, such that a wall clock which somebody sets makes nothing older or younger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was, by the wall clock and, within its boot, by a clock that nobody can set."""

    wall: float
    """Seconds since the epoch."""
    boot: str = ""
    """The kernel's id of the boot; empty where nobody noted it."""
    up: float = 0.0
    """Seconds since that boot, the machine's sleep among them."""

    def since(self, then: Moment) -> float:
        """Seconds from ``then`` to this moment.

        Across boots there is only the wall clock; but what was before this boot is at least as old as that.
        """
        if not self.boot or not then.boot:
            return self.wall - then.wall
        if self.boot == then.boot:
            return self.up - then.up
        return max(self.wall - then.wall, self.up)
