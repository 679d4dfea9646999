"""How much may be ended within a while before Sentinel mistrusts itself.

People lose a session now and then, not six within half a minute. Whoever has to end what so
many deaths left is more likely to be wrong about them than right (docs/decisions/0007).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from sentinel.core.ledger import Ledger
from sentinel.core.policy import Allowance
from sentinel.core.sessions import Session

ONE_BLOW = 2.0
"""Seconds within which sessions that hang together die of one cause: the panes of a tmux
server end one after the other, and before it or after it."""
_HANDFUL = 10
"""Processes that are never "half of all that the user runs"."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What a session died of, as far as the ledger tells."""

    origin: str
    """Key of the outermost session that died: itself, or the one that took it along."""
    kin: frozenset[str]
    """The sessions around it, living or dead, and the terminal of the outermost: what dies
    together with another one of these dies of the same blow."""


def cause_of(ledger: Ledger, session: Session, recent: float) -> Cause:
    """What ``session``, which is dead, died of.

    Args:
        ledger: Has the sessions around it.
        session: The dead one.
        recent: Monotonic seconds. What died before took nobody along that dies now.
    """
    outermost = origin = session
    kin = {session.key}
    while outermost.outer and outermost.outer not in kin:
        kin.add(outermost.outer)
        record = ledger.record(outermost.outer)
        if record is None:
            return Cause(origin.key, frozenset(kin))  # dead and forgotten: nobody knows since when
        if origin is outermost and record.death is not None and record.death.at >= recent:
            origin = record.session
        outermost = record.session
    if outermost.sid:
        kin.add(f"terminal session {outermost.sid}")
    return Cause(origin.key, frozenset(kin))


@dataclass(slots=True)
class _Spent:
    """What was ended for one cause."""

    origin: str
    kin: set[str]
    first: float
    last: float
    number: int


@dataclass(slots=True)
class Budget:
    """What was ended lately, by cause. Times are monotonic seconds, passed in."""

    _spent: list[_Spent] = field(default_factory=list)

    def refuses(
        self, cause: Cause, number: int, at: float, allowed: Allowance, population: Callable[[int], int]
    ) -> str:
        """Why ``number`` processes may not be ended for this cause now; empty, and written down, if they may.

        Args:
            cause: What their session died of.
            number: Of processes.
            at: Now.
            allowed: How much is in the budget.
            population: Counts the user's living processes, up to so many; asked only when it matters.
        """
        self._spent = [spent for spent in self._spent if at - spent.last <= allowed.seconds]
        known = next((spent for spent in self._spent if _is_same(spent, cause, at)), None)
        causes = len(self._spent) + (known is None)
        if causes > allowed.causes:
            return f"{causes} causes within {allowed.seconds:g} s had something to end: the budget is {allowed.causes}"
        before = sum(spent.number for spent in self._spent)
        total = before + number
        # However much one session owned: it is what died. From the second cause on it may be us.
        enough = math.ceil(total / allowed.share)
        counts = causes > 1 and total > _HANDFUL and allowed.share < 1  # more than all there are is never ended
        if counts and (everyone := before + population(enough - before)) < enough:
            return f"{total} of {everyone} processes were to be ended within {allowed.seconds:g} s"
        if known is None:
            known = _Spent(cause.origin, set(), at, at, 0)
            self._spent.append(known)
        known.kin |= cause.kin
        known.last = at
        known.number += number
        return ""


def _is_same(spent: _Spent, cause: Cause, at: float) -> bool:
    if cause.origin == spent.origin or cause.origin in spent.kin:
        return True
    return at - spent.first <= ONE_BLOW and not spent.kin.isdisjoint(cause.kin)
