from __future__ import annotations

import pytest

from sentinel.core.facts import Cause, Death, ProcessId, Unknown
from tests.core.cases import facts


@pytest.mark.parametrize(
    ("status", "cause", "code", "signal"),
    [
        (None, Cause.UNTOLD, None, None),
        (0, Cause.EXITED, 0, None),
        (255 << 8, Cause.EXITED, 255, None),
        (15, Cause.SIGNALLED, None, 15),
        (6 | 0x80, Cause.SIGNALLED, None, 6),
    ],
)
def test_a_wait_status_is_read_as_wait_2_says(status, cause, code, signal):
    death = Death(1.0, status)
    assert (death.cause, death.code, death.signal) == (cause, code, signal)


@pytest.mark.parametrize(
    ("state", "dead"), [("R", False), ("S", False), ("D", False), ("T", False), ("Z", True), ("X", True)]
)
def test_the_dead_are_zombies_and_those_about_to_vanish(state, dead):
    assert facts(state=state).dead is dead


def test_identities_and_gaps_in_knowledge_can_be_read():
    assert str(ProcessId(7, 42)) == "7@42"
    assert str(Unknown("who it is", "no answer")) == "could not find out who it is: no answer"
