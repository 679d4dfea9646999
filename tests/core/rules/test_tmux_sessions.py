"""Which names of tmux sessions lead to nothing any more."""

from __future__ import annotations

import pytest

from sentinel.core.rules.tmux_sessions import is_gas_towns, lost_its_rig


@pytest.mark.parametrize(
    "name", ["gt-mayor", "gt-deacon", "gt-gastown-witness", "gt-gastown-refinery", "gt-gastown-toast", "gt-gastown-a-b"]
)
def test_what_the_town_or_a_rig_of_it_has_is_in_use(name):
    assert is_gas_towns(name)
    assert lost_its_rig(name, ["gastown", "beads"]) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gt-lost-witness", "its town has no rig called lost"),
        ("gt-gas-town-witness", "its town has no rig called gas"),
        ("gt-gastown", "Gas Town gives no such name"),
        ("gt-", "Gas Town gives no such name"),
    ],
)
def test_what_belongs_to_no_rig_says_why(name, why):
    assert lost_its_rig(name, ["gastown"]) == why


def test_others_give_other_names():
    assert not is_gas_towns("work")
    assert not is_gas_towns("my-gt-mayor")
