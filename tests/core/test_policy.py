from __future__ import annotations

import pytest

from sentinel.core.policy import Daemons, Mode, Policy, Survivors
from sentinel.core.sessions import Kind


@pytest.mark.parametrize("kind", Kind)
def test_by_default_what_is_lost_is_ended_and_daemons_are_spared(kind):
    wishes = Policy().of(kind)
    assert wishes.survivors is Survivors.END
    assert wishes.daemons is Daemons.SPARE
    assert wishes.grace > 0


def test_only_a_pane_that_was_left_in_good_order_keeps_its_jobs():
    kept = {kind for kind in Kind if Policy().of(kind).after_exit is Survivors.REPORT}
    assert kept == {Kind.PANE}


def test_sentinel_acts_unless_it_is_told_not_to():
    assert Policy().mode is Mode.ACT
