from __future__ import annotations

import pytest

from sentinel.core.facts import Cause, Death, ProcessId, Unknown, kernel_name
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
    ("name", "kept"),
    [
        ("short", "short"),
        ("containerd-shim-runc-v2", "containerd-shim"),
        ("a-very-long-pr\xe4fect", "a-very-long-pr\udcc3"),  # bytes, not letters
        ("fourteen-bytes\xe4", "fourteen-bytes\udcc3"),
        ("\udcff" * 20, "\udcff" * 15),  # no UTF-8 at all
    ],
)
def test_the_kernel_keeps_fifteen_bytes_of_a_name(name, kept):
    assert kernel_name(name) == kept


@pytest.mark.parametrize(
    ("state", "dead"), [("R", False), ("S", False), ("D", False), ("T", False), ("Z", True), ("X", True)]
)
def test_the_dead_are_zombies_and_those_about_to_vanish(state, dead):
    assert facts(state=state).dead is dead


def test_identities_and_gaps_in_knowledge_can_be_read():
    assert str(ProcessId(7, 42)) == "7@42"
    assert str(Unknown("who it is", "no answer")) == "could not find out who it is: no answer"
