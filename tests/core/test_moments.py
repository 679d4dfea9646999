from __future__ import annotations

import pytest

from sentinel.core.moments import Moment

DAY = 86400.0
THEN = Moment(1000.0, "b1", 50.0)


@pytest.mark.parametrize("jump", [-DAY, 0.0, DAY])
def test_within_a_boot_a_clock_that_is_set_changes_nothing(jump):
    assert Moment(1010.0 + jump, "b1", 60.0).since(THEN) == 10.0


def test_across_boots_the_wall_clock_tells():
    assert Moment(1010.0, "b2", 5.0).since(THEN) == 10.0


def test_what_was_before_this_boot_is_as_old_as_that_at_least():
    assert Moment(1000.0 - DAY, "b2", 7.0).since(THEN) == 7.0


@pytest.mark.parametrize(("now", "then"), [("", "b1"), ("b1", ""), ("", "")])
def test_where_no_boot_was_noted_the_wall_clock_tells(now, then):
    assert Moment(1010.0, now, 500.0).since(Moment(1000.0, then, 1.0)) == 10.0
