from __future__ import annotations

from sentinel.core.facts import ProcessId
from sentinel.core.switches import Halt, Keep, Switches

ONE = Keep(ProcessId(1, 1), "one")
TWO = Keep(ProcessId(2, 2), "two", "two-2@2")


def test_a_pause_holds_until_its_end():
    switches = Switches(pause=Halt(10.0, "a person said so", until=20.0))
    assert switches.held(19.9) == "a person said so"
    assert switches.held(20.0) == ""


def test_a_pause_without_an_end_holds_for_ever():
    assert Switches(pause=Halt(10.0, "a person said so")).held(1e12) == "a person said so"


def test_a_breaker_holds_whatever_became_of_the_pause():
    switches = Switches(pause=Halt(10.0, "a person said so", until=20.0), breaker=Halt(11.0, "too much at once"))
    assert switches.held(12.0) == "too much at once"
    assert switches.held(99.0) == "too much at once"


def test_going_on_lifts_both_and_forgets_nobody_who_is_kept():
    switches = Switches((ONE,), Halt(1.0, "a"), Halt(1.0, "b")).going_on()
    assert switches == Switches((ONE,))
    assert switches.held(2.0) == ""


def test_who_is_kept_is_known_by_identity_and_named_once():
    switches = Switches((TWO,)).keeping([ONE, Keep(TWO.id, "anew")])
    assert set(switches.kept) == {ONE, TWO}
    assert switches.releasing([ProcessId(2, 2)]).kept == (ONE,)
    assert switches.releasing([ProcessId(2, 3)]) == switches
