"""What a yes overrides: want of proof, and no protection."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.consent import BY_A_YES, BY_NAMING, judge_with_consent
from sentinel.core.guards import GUARDS
from sentinel.core.verdicts import Condemned, Spared
from tests.core.cases import case, facts
from tests.core.test_guards import SPARED, of

NEVER = {guard.id for guard in GUARDS} - BY_NAMING


def samples(guards):
    return [pytest.param(guard, changes, id=f"{guard}: {why}") for guard, why, changes in SPARED if guard in guards]


@pytest.mark.parametrize(("guard", "changes"), samples(NEVER))
def test_no_yes_overrides_a_protection(guard, changes):
    assert isinstance(judge_with_consent(of(changes)), Spared)
    shelter = changes.get("shelter")
    wished = shelter is not None and shelter.guard in BY_NAMING  # see below
    assert isinstance(judge_with_consent(of(changes), named=True), Spared) is not wished


@pytest.mark.parametrize(("guard", "changes"), samples(BY_NAMING - BY_A_YES))
def test_a_wish_that_was_guessed_is_overridden_by_naming_alone(guard, changes):
    listed = judge_with_consent(of(changes))
    assert isinstance(listed, Spared)
    assert listed.guard == guard
    assert isinstance(judge_with_consent(of(changes), named=True), Condemned)


@pytest.mark.parametrize(("guard", "changes"), samples(BY_A_YES))
def test_want_of_proof_is_overridden_by_a_yes(guard, changes):
    assert isinstance(judge_with_consent(of(changes)), Condemned)


def test_these_are_all():
    """Each guard that is made has to be put on one side or the other by somebody who thinks about it."""
    assert {"not-in-ledger", "policy"} == BY_A_YES
    assert {"nohup", "daemonised", "disowned", "build-daemon"} == BY_NAMING - BY_A_YES
    assert {
        *("ourselves", "other-user", "other-namespace", "kernel-thread", "identity", "unknown", "unreadable"),
        *("owner-alive", "living-session", "tmux-server", "live-pane", "adopted", "stopped", "tracing", "kept"),
        *("protected", "session-keeper", "editor-server", "terminal", "user-service", "container-runtime"),
        *("unit", "on-screen", "serving", "sheltered"),
    } <= NEVER


def test_what_hangs_under_one_that_was_named_is_not_sheltered_by_its_wish():
    shelter = Spared(facts().id, "nohup", "it was started with nohup")
    assert isinstance(judge_with_consent(case(shelter=shelter)), Spared)
    assert isinstance(judge_with_consent(case(shelter=shelter), named=True), Condemned)
    kept = replace(shelter, guard="kept")
    assert isinstance(judge_with_consent(case(shelter=kept), named=True), Spared)
