"""What histories are made of: ``python -m tests.model.drawn`` prints it, the seldom at the end.

What is never drawn is never tried. So this counts the moves, the agent's own events, the guards
that spared somebody, how deep sessions lay in each other, and what the oracle had to give up.
"""

from __future__ import annotations

import sys
from collections import Counter
from unittest.mock import patch

from sentinel.bus import Bus
from sentinel.core.events import Event, SessionJudged
from sentinel.core.verdicts import Spared
from tests.model.history import player
from tests.model.kernel import House
from tests.model.machine import Machine
from tests.model.script import script

_HISTORIES = 10_000


def drawn(number: int) -> Counter[str]:
    """Play so many histories, and count what came about in them."""
    seen: Counter[str] = Counter()
    publish, account = Bus.publish, Machine.account

    def published(bus: Bus, event: Event, cause: int | None = None) -> None:
        seen[f"event {event.type}"] += 1
        if isinstance(event, SessionJudged):
            seen.update(f"spared {verdict.guard}" for verdict in event.processes if isinstance(verdict, Spared))
        publish(bus, event, cause)

    def accounted(machine: Machine) -> None:
        houses, everyone = machine.people.houses, machine.kernel.table.values()
        seen.update(f"depth {_depth(house)}" for house in houses)
        seen.update({"lost": sum(process.lost for process in everyone), "unheard": sum(h.unheard for h in houses)})
        account(machine)

    with player() as histories, patch.multiple(Bus, publish=published), patch.multiple(Machine, account=accounted):
        for one in range(number):
            seen.update(f"move {name}" for name, _ in script(one).moves)
            histories.play(script(one))
    return seen


def _depth(house: House) -> int:
    return 1 + _depth(house.outer) if house.outer is not None else 0


if __name__ == "__main__":
    for what, often in drawn(int(sys.argv[1]) if len(sys.argv) > 1 else _HISTORIES).most_common():
        print(f"{often:9} {what}")  # noqa: T201 - what it is run for
