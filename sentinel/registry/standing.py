"""Whether a registered session lives: proven where that can be, else by how long it has been silent.

The death of a process of this machine is a fact that the kernel tells, whatever its
heartbeats say: one that is stopped, or busy, beats late and lives. Heartbeats count for
those only of which the kernel here knows nothing: on another machine, in a container. And a
silence is no proof: nothing is ended for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sentinel.core.facts import Unknown
from sentinel.registry.entries import Entry, Place, Status


class Standing(StrEnum):
    """What is known of a session's life."""

    ENDED = "ended"
    """It said so, or was found dead before."""
    ALIVE = "alive"
    """Its process lives: that is certain."""
    DEAD = "dead"
    """Its process has ended: that is certain."""
    BEATING = "beating"
    """Nobody here can look at its process; its last heartbeat is young."""
    STALE = "stale"
    """Nobody here can look at its process, and it has been silent for too long."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the clocks show at one moment, in seconds."""

    wall: float
    """Since the epoch."""
    monotonic: float
    """Stands still while the machine sleeps."""
    slept: float
    """How long the machine has slept since its boot."""


def is_within_sight(entry: Entry, here: Place) -> bool:
    """Whether the kernel here can tell if the session's process lives.

    Another boot of this machine is within sight, too: whatever ran in that has ended. In
    which namespace that was does not matter any more.
    """
    return entry.place.host == here.host and (entry.place.boot != here.boot or entry.place == here)


def silence(entry: Entry, here: Place, now: Clocks) -> float:
    """Seconds since the last heartbeat, while this machine was awake.

    Under the same kernel the monotonic clock is the same, and stands still in a sleep. What
    beats elsewhere wrote down the time of the day. Nobody knows when within this time the
    machine slept, so all of its sleep counts as excuse; and a clock that was set back makes
    nobody old.
    """
    if entry.place.boot == here.boot and entry.place.host == here.host:
        return max(0.0, now.monotonic - entry.beat)
    return max(0.0, now.wall - entry.heartbeat - now.slept)


def standing(entry: Entry, here: Place, now: Clocks, *, root_ended: bool | Unknown, stale_after: float) -> Standing:
    """What is known of the life of a session.

    Args:
        entry: It.
        here: Where the question is asked.
        now: The clocks.
        root_ended: What the kernel says of that very process. Means nothing where it is not within sight.
        stale_after: Seconds without a heartbeat, for whom nobody can look at.
    """
    if entry.status is Status.ENDED:
        return Standing.ENDED
    if is_within_sight(entry, here):
        if entry.place.boot != here.boot or root_ended is True:
            return Standing.DEAD
        if root_ended is False:
            return Standing.ALIVE
    return Standing.STALE if silence(entry, here, now) > stale_after else Standing.BEATING
