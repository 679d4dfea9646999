from __future__ import annotations

import pytest

from sentinel.core.facts import ProcessId
from sentinel.core.moments import Moment
from sentinel.core.switches import Halt, Keep, Switches

ONE = Keep(ProcessId(1, 1), "one")
TWO = Keep(ProcessId(2, 2), "two", "two-2@2")


PAUSE = Halt.begin(Moment(10.0, "b1", 500.0), "a person said so", until=20.0)
DAY = 86400.0


def at(wall):
    """A moment of the boot in which the pause began, of a clock that nobody has set."""
    return Moment(wall, "b1", wall + 490.0)


def test_a_pause_holds_until_its_end():
    assert Switches(pause=PAUSE).held(at(19.9)) == "a person said so"
    assert Switches(pause=PAUSE).held(at(20.0)) == ""


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_clock_that_is_set_makes_a_pause_no_shorter_and_no_longer(jump):
    assert Switches(pause=PAUSE).held(Moment(19.9 + jump, "b1", 509.9)) == "a person said so"
    assert Switches(pause=PAUSE).held(Moment(20.0 + jump, "b1", 510.0)) == ""
    assert PAUSE.ends(Moment(15.0 + jump, "b1", 505.0)) == 20.0 + jump


def test_after_a_reboot_the_wall_clock_tells_of_a_pause():
    assert Switches(pause=PAUSE).held(Moment(19.9, "b2", 1.0))
    assert not Switches(pause=PAUSE).held(Moment(20.0, "b2", 1.0))


def test_a_pause_that_an_older_sentinel_wrote_goes_by_the_wall_clock():
    pause = Halt(10.0, "a person said so", until=20.0)
    assert (pause.left(at(19.0)), pause.left(at(21.0))) == (1.0, -1.0)


def test_it_ends_when_it_was_said_to_end_while_nobody_sets_the_clock():
    assert PAUSE.ends(at(15.2)) == 20.0
    assert Halt(10.0, "a person said so").ends(at(15.0)) is None


def test_a_pause_without_an_end_holds_for_ever():
    assert Switches(pause=Halt(10.0, "a person said so")).held(at(1e12)) == "a person said so"


def test_a_breaker_holds_whatever_became_of_the_pause():
    switches = Switches(pause=PAUSE, breaker=Halt(11.0, "too much at once"))
    assert switches.held(at(12.0)) == "too much at once"
    assert switches.held(at(99.0)) == "too much at once"


def test_going_on_lifts_both_and_forgets_nobody_who_is_kept():
    switches = Switches((ONE,), Halt(1.0, "a"), Halt(1.0, "b")).going_on()
    assert switches == Switches((ONE,))
    assert switches.held(at(2.0)) == ""


def test_who_is_kept_is_known_by_identity_and_named_once():
    switches = Switches((TWO,)).keeping([ONE, Keep(TWO.id, "anew")])
    assert set(switches.kept) == {ONE, TWO}
    assert switches.releasing([ProcessId(2, 2)]).kept == (ONE,)
    assert switches.releasing([ProcessId(2, 3)]) == switches
