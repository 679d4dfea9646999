"""What a yes overrides: want of proof, and no protection."""

from __future__ import annotations

import pytest

from sentinel.core.consent import BY_A_YES, BY_NAMING, mercy_after_a_yes
from sentinel.core.facts import Gone
from sentinel.core.guards import GUARDS
from sentinel.core.verdicts import Absent
from tests.core.cases import case, member
from tests.core.test_guards import SPARED, of

NEVER = {guard.id for guard in GUARDS} - BY_NAMING


def samples(guards):
    return [pytest.param(guard, changes, id=f"{guard}: {why}") for guard, why, changes in SPARED if guard in guards]


def spared_by(case, *, named):
    verdict = mercy_after_a_yes(case, GUARDS, named=named)
    return None if verdict is None else verdict.guard


@pytest.mark.parametrize(("guard", "changes"), samples(NEVER))
def test_no_yes_overrides_a_protection(guard, changes):
    assert spared_by(of(changes), named=False) == guard
    assert spared_by(of(changes), named=True) == guard


@pytest.mark.parametrize(("guard", "changes"), samples(BY_NAMING - BY_A_YES))
def test_a_wish_that_was_guessed_is_overridden_by_naming_alone(guard, changes):
    assert spared_by(of(changes), named=False) == guard
    assert spared_by(of(changes), named=True) is None


@pytest.mark.parametrize(("guard", "changes"), samples(BY_A_YES))
def test_want_of_proof_is_overridden_by_a_yes(guard, changes):
    assert spared_by(of(changes), named=False) is None


@pytest.mark.parametrize(
    ("by", "named", "spares"),
    [
        ("policy", False, None),
        ("daemonised", False, "sheltered"),
        ("daemonised", True, None),
        ("kept", True, "sheltered"),
    ],
)
def test_what_a_spared_one_has_left_is_overridden_as_that_one_was(by, named, spares):
    assert spared_by(case(member=member(heir_of=by)), named=named) == spares


def test_these_are_all():
    """Each guard that is made has to be put on one side or the other by somebody who thinks about it."""
    assert {"not-in-ledger", "policy"} == BY_A_YES
    assert {"nohup", "daemonised", "disowned", "build-daemon"} == BY_NAMING - BY_A_YES
    assert {
        *("ourselves", "other-user", "other-namespace", "kernel-thread", "identity", "unknown", "unreadable"),
        *("owner-alive", "living-session", "tmux-server", "live-pane", "adopted", "stopped", "tracing", "kept"),
        "stopped-jobs",
        *("protected", "session-keeper", "editor-server", "terminal", "user-service", "container-runtime"),
        *("unit", "on-screen", "serving", "sheltered"),
    } <= NEVER


def test_what_has_ended_is_absent():
    assert isinstance(mercy_after_a_yes(case(facts=Gone()), GUARDS), Absent)
