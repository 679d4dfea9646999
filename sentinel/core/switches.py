"""What was switched while Sentinel was there: who is kept, and whether anything may be ended now."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sentinel.core.facts import ProcessId
from sentinel.core.moments import Moment

_SET = 1.0
"""Seconds by which a wall clock that was set differs from one that was not."""


@dataclass(frozen=True, slots=True)
class Keep:
    """A process that a person wants to stay, with all that it bears."""

    id: ProcessId
    name: str = ""
    """What it was called then: for the list alone."""
    session: str = ""
    """Key of the session whose root it was, if the person named a session."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Nothing is ended or removed for the time being."""

    since: float
    """Wall-clock seconds since the epoch."""
    why: str
    until: float | None = None
    """The same; None: until somebody says otherwise."""
    boot: str = ""
    """The kernel's id of the boot in which it began; empty where that was not noted."""
    up: float = 0.0
    """Seconds from that boot until it began."""
    event: int = 0
    """``seq`` of the record that says so; 0 where there is none."""

    @classmethod
    def begin(cls, now: Moment, why: str, until: float | None = None) -> Halt:
        """One that begins now."""
        return cls(now.wall, why, until, now.boot, now.up)

    def left(self, now: Moment) -> float:
        """Seconds for which it still holds, negative when it is over: it lasts as long as was said then."""
        if self.until is None:
            return math.inf
        return self.until - self.since - now.since(Moment(self.since, self.boot, self.up))

    def ends(self, now: Moment) -> float | None:
        """When it is over by the wall clock as that goes now; None: when somebody says so."""
        if self.until is None:
            return None
        ends = now.wall + self.left(now)
        return ends if abs(ends - self.until) > _SET else self.until


@dataclass(frozen=True, slots=True)
class Switches:
    """Where each switch stands."""

    kept: tuple[Keep, ...] = ()
    pause: Halt | None = None
    """A person wants a pause, or nobody can tell what the person wants."""
    breaker: Halt | None = None
    """More was to be ended than Sentinel trusts itself with."""

    def held(self, now: Moment) -> str:
        """Why nothing may be ended now; empty when it may."""
        return next((halt.why for halt in (self.breaker, self.pause) if halt and halt.left(now) > 0), "")

    def keeping(self, keeps: Iterable[Keep]) -> Switches:
        """The same with these kept too; who was kept before stays as it was."""
        before = {keep.id: keep for keep in self.kept}
        return replace(self, kept=tuple({**{keep.id: keep for keep in keeps}, **before}.values()))

    def releasing(self, who: Iterable[ProcessId]) -> Switches:
        """The same with these kept no more."""
        gone = set(who)
        return replace(self, kept=tuple(keep for keep in self.kept if keep.id not in gone))

    def going_on(self) -> Switches:
        """The same with nothing held."""
        return replace(self, pause=None, breaker=None)
