"""Who starts again what Sentinel ends: to go on against a supervisor is a fight that nobody wins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sentinel.core.facts import ProcessFacts

AT_ONCE = 2.0
"""Seconds from an end to the birth that answers it."""
_OFTEN_ENOUGH = 2


@dataclass(slots=True)
class _Ended:
    rounds: int = 0
    last: float = 0.0


@dataclass(slots=True)
class Revivals:
    """What was ended within one clean-up, by who bore it and what it is called.

    A parent that is condemned itself ends with its children. One that lives on all the same
    (it may not be killed, or cannot be) may bear them anew.
    """

    _ended: dict[tuple[int, str], _Ended] = field(default_factory=dict)

    def ended(self, targets: Iterable[ProcessFacts], at: float) -> None:
        """These were ended together; ``at`` is when that was done, in monotonic seconds."""
        for key in {(target.parent, target.name) for target in targets}:
            known = self._ended.setdefault(key, _Ended())
            known.rounds += 1
            known.last = at

    def is_revived(self, newborn: ProcessFacts, bearer: int, born: float) -> bool:
        """Whether it stands where another of its name was ended twice, each time anew.

        Args:
            newborn: It.
            bearer: Who bore it, by the ledger: what fell to another parent was not started by that one.
            born: Monotonic seconds.
        """
        known = self._ended.get((newborn.parent, newborn.name))
        if known is None or newborn.parent != bearer or newborn.parent <= 1:
            return False
        return known.rounds >= _OFTEN_ENOUGH and born - known.last <= AT_ONCE
