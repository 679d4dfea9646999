"""When a person is told: grouped, seldom, and not at night.

People switch off what talks too much, and a desktop can be brought down by popups. So what
comes within two seconds is told as one, three popups may come at once and one a minute from
then on, and whatever waits meanwhile is added up. Times are monotonic seconds, passed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.core.actions import Outcome, Result
from sentinel.core.sessions import Kind
from sentinel.core.tally import Tally

GROUP = 2.0
"""Seconds for which the first of a group waits for others."""
AT_ONCE = 3
"""Popups that may come one after the other, after a quiet while."""
REFILL = 60.0
"""Seconds after which there may be one more."""
EPISODE = 60.0
"""Seconds for which a popup that can be replaced is replaced, by one that says all of it."""
_ROUNDING = 1e-6
_DAY = 24 * 60
_NOTHING_DONE = frozenset({Result.GONE, Result.KEPT, Result.HELD})
"""Not worth a popup. What is held was announced when it was switched, and would come in a storm."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours in which nothing is shown. They may go over midnight."""

    begin: int
    """Minutes of the local day."""
    end: int

    def holds(self, minute: int) -> bool:
        """Whether ``minute`` (of the local day) is one of these. Begin and end alike: all day."""
        if self.begin < self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.begin, self.end))


def quiet_hours(text: str) -> Quiet:
    """Read ``22:00-07:00``.

    Raises:
        ValueError: It has another form, or there is no such time.
    """
    minutes = []
    for time in text.split("-"):
        hour, _, minute = time.partition(":")
        if len(hour) != 2 or len(minute) != 2 or not (hour + minute).isdecimal():  # noqa: PLR2004 - HH:MM
            raise ValueError(text)
        minutes.append(60 * int(hour) + int(minute))
        if int(minute) >= 60 or minutes[-1] >= _DAY:  # noqa: PLR2004 - minutes of an hour
            raise ValueError(text)
    begin, end = minutes
    return Quiet(begin, end)


@dataclass(frozen=True, slots=True)
class Manner:
    """What the person wants to be told."""

    min_things: int = 0
    """Clean-ups of fewer processes and files than this are not worth a popup."""
    quiet: Quiet | None = None
    silent: frozenset[Kind] = frozenset()
    """Kinds of sessions whose clean-ups bring no popup."""
    buttons: bool = True
    """Popups have buttons, where the desktop has them."""

    def wants(self, kind: Kind, outcomes: tuple[Outcome, ...]) -> bool:
        """Whether a clean-up with these outcomes is worth a popup."""
        done = sum(outcome.result not in _NOTHING_DONE for outcome in outcomes)
        return done > 0 and done >= self.min_things and kind not in self.silent


@dataclass(slots=True)
class Bucket:
    """How many popups there may be. It begins full."""

    _tokens: float = AT_ONCE
    _at: float = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next popup may come."""
        self._fill(now)
        missing = 1 - self._tokens
        return missing * REFILL if missing > _ROUNDING else 0.0

    def spend(self, now: float) -> None:
        """Note a popup. One that could not wait is owed: the next one comes later for it."""
        self._fill(now)
        self._tokens -= 1

    def _fill(self, now: float) -> None:
        self._tokens = min(float(AT_ONCE), self._tokens + (now - self._at) / REFILL)
        self._at = now


@dataclass(frozen=True, slots=True)
class Bulletin:
    """What is to be told now."""

    tally: Tally
    cause: int
    """``seq`` of the first clean-up in it."""
    replaces: bool
    """It says again what the popup before it said, and takes its place."""
    unwanted: str = ""
    """Why it is not to be shown, only written down."""


@dataclass(slots=True)
class Outbox:
    """What waits to be told."""

    _bucket: Bucket = field(default_factory=Bucket)
    _waiting: Tally = field(default_factory=Tally)
    _since: float = 0.0
    _cause: int = 0
    _shown: Tally = field(default_factory=Tally)
    """What the popup that can be replaced says."""
    _until: float = 0.0

    def add(self, it: Tally, now: float, cause: int) -> None:
        """Have something told."""
        if not self._waiting:
            self._since, self._cause = now, cause
        self._waiting.add(it)

    def due(self, now: float) -> float | None:
        """When to ask for what waits; None when nothing does."""
        if not self._waiting:
            return None
        return max(self._since + GROUP, now + self._bucket.wait(now))

    def take(self, now: float, quiet: Quiet | None = None, minute: int = 0) -> Bulletin | None:
        """What is to be told now, which then waits no more; None when nothing is due.

        Args:
            now: Monotonic seconds.
            quiet: The hours in which nothing is shown. Nothing is saved up for their end.
            minute: Of the local day.
        """
        if (due := self.due(now)) is None or due > now:
            return None
        return self._empty(now, quiet, minute)

    def rest(self, now: float, quiet: Quiet | None = None, minute: int = 0) -> Bulletin | None:
        """What waits, group or not: there will be no later."""
        if not self._waiting:
            return None
        if self._bucket.wait(now):
            return Bulletin(self._pop(), self._cause, replaces=False, unwanted="too many at once")
        return self._empty(now, quiet, minute)

    def interrupt(self, now: float) -> None:
        """Note a popup that could not wait for its turn."""
        self._bucket.spend(now)

    def told(self, bulletin: Bulletin, now: float, *, replaceable: bool) -> None:
        """A bulletin was shown. ``replaceable``: the next one may take its place."""
        self._shown = bulletin.tally if replaceable else Tally()
        self._until = now + EPISODE

    def answered(self) -> None:
        """A person has pressed a button of the popup: what it says next is being read, and is not replaced."""
        self._shown = Tally()

    def _empty(self, now: float, quiet: Quiet | None, minute: int) -> Bulletin:
        if quiet is not None and quiet.holds(minute):
            return Bulletin(self._pop(), self._cause, replaces=False, unwanted=f"these are quiet hours ({quiet})")
        self._bucket.spend(now)
        whole, self._shown = self._shown if now < self._until else Tally(), Tally()
        replaces = bool(whole)
        whole.add(self._pop())
        return Bulletin(whole, self._cause, replaces)

    def _pop(self) -> Tally:
        it, self._waiting = self._waiting, Tally()
        return it
