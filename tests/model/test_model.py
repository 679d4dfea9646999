"""Nothing is ended that somebody wanted, whatever happens; and what nobody wanted is.

The agent is its own but for what it looks at: see ``door``. Who was right is said by
``oracle``, which shares no code with the guards.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

import pytest

from sentinel.core.guards import GUARDS
from tests.model.drawn import drawn
from tests.model.history import Player, player
from tests.model.script import script
from tests.model.without import silenced

FULL = os.environ.get("SENTINEL_SOAK") == "full"
HISTORIES = 100_000 if FULL else 1_500
PROVABLE = 0.999
"""Of the orphans that nothing protects and of whose birth the agent was told, so many are ended."""


@pytest.fixture
def histories():
    with player() as it:
        yield it


def play(histories: Player, numbers: Iterable[int]) -> tuple[Counter[str], list[str]]:
    """Play these histories: how many signals, orphans and misses there were, and all that was wrong."""
    seen: Counter[str] = Counter()
    wrong = []
    for number in numbers:
        outcome = histories.play(script(number))
        seen.update(signals=outcome.ended, orphans=outcome.orphans, missed=len(outcome.missed))
        wrong += [f"history {number}: {what}" for what in (*outcome.wrong, *outcome.failed)]
    return seen, wrong


@pytest.mark.soak
def test_in_no_history_is_anything_ended_that_somebody_wanted_and_the_rest_is(histories):
    seen, wrong = play(histories, range(HISTORIES))
    print(f"{HISTORIES} histories: {dict(seen)}")  # noqa: T201 - the figure that docs/safety.md shows
    assert wrong == []
    assert seen["orphans"] > HISTORIES / 10  # else nothing was tried
    assert seen["missed"] <= (1 - PROVABLE) * seen["orphans"]


@pytest.mark.parametrize("guard", ["nohup", "serving", "stopped", "session-keeper"])
def test_the_model_notices_a_guard_that_is_taken_out(histories, guard):
    with silenced(next(one for one in GUARDS if one.id == guard)):
        for number in range(HISTORIES):
            if histories.play(script(number)).wrong:
                return
    pytest.fail(f"nobody misses the guard {guard}")


def test_the_model_notices_a_guard_that_always_spares(histories):
    with silenced(next(guard for guard in GUARDS if guard.id == "stopped"), lambda _: "it may be at work"):
        seen, wrong = play(histories, range(100))
    assert wrong == []
    assert seen["missed"] == seen["orphans"] > 0


def test_a_history_is_played_alike_twice(histories):
    assert histories.play(script(5)) == histories.play(script(5))


def test_a_history_that_goes_wrong_is_made_short(histories):
    with silenced(next(guard for guard in GUARDS if guard.id == "stopped")):
        number = next(number for number in range(HISTORIES) if histories.play(script(number)).wrong)
        short = histories.shorten(script(number), lambda outcome: bool(outcome.wrong))
        assert histories.play(short).wrong
    assert len(short.moves) < len(script(number).moves)


def test_what_histories_are_made_of_can_be_counted():
    seen = drawn(60)
    assert all(seen[what] for what in ("move restart", "event session.died", "depth 0", "depth 1", "lost"))
    assert any(what.startswith("spared ") for what in seen)
