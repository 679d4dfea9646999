"""Which guards the model would miss: ``python -m tests.model.without`` prints them.

Each is taken out in turn, and histories are played until somebody is ended that should not
have been. What no history misses is missed by its mercy test in tests/core/test_guards.py.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from sentinel.core.guards import GUARDS, Guard
from sentinel.core.guards.case import Speaks
from tests.model.history import Player, player
from tests.model.script import script

_HISTORIES = 20_000


@contextlib.contextmanager
def silenced(guard: Guard, speaks: Speaks = lambda _: None) -> Iterator[None]:
    """Take a guard out, wherever it stands, or have it speak otherwise."""
    own = guard.speaks
    object.__setattr__(guard, "speaks", speaks)  # the tuples share their guards
    try:
        yield
    finally:
        object.__setattr__(guard, "speaks", own)


def misses(histories: Player, guard: Guard, most: int) -> int | None:
    """How many histories it takes until somebody misses that guard; None when nobody does."""
    with silenced(guard):
        return next((number + 1 for number in range(most) if histories.play(script(number)).wrong), None)


def main() -> None:
    """Print a row of docs/safety.md for each guard."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else _HISTORIES
    with player() as histories:
        for guard in GUARDS:
            found = misses(histories, guard, most)
            seen_by = f"model ({found})" if found else "mercy only"
            print(f"| `{guard.id}` | {seen_by} |", flush=True)  # noqa: T201 - what it is run for


if __name__ == "__main__":
    main()
