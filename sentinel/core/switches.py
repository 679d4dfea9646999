"""What was switched while Sentinel was there: who is kept, and whether anything may be ended now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sentinel.core.facts import ProcessId


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


@dataclass(frozen=True, slots=True)
class Switches:
    """Where each switch stands."""

    kept: tuple[Keep, ...] = ()
    pause: Halt | None = None
    """A person wants a pause, or nobody can tell what the person wants."""
    breaker: Halt | None = None
    """More was to be ended than Sentinel trusts itself with."""

    def held(self, now: float) -> str:
        """Why nothing may be ended at ``now`` (wall-clock seconds); empty when it may."""
        halts = (self.breaker, self.pause)
        return next((halt.why for halt in halts if halt and (halt.until is None or now < halt.until)), "")

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
