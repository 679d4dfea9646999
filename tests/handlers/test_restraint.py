"""What holds the hand back: a pause, the mode, the budget."""

from __future__ import annotations

import sys

import pytest

from sentinel.core.events import BreakerOpened
from sentinel.core.policy import Allowance, Mode, Policy
from sentinel.core.sessions import Kind
from sentinel.core.switches import Switches
from sentinel.handlers.halting import Halting
from sentinel.handlers.restraint import Restraint
from sentinel.switches import SwitchBoard
from tests.handlers.room import killed

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def restraint(room):
    room.policy = Policy(budget=Allowance(causes=2))
    return Restraint(room.bus, room.ledger, room.wishes, room.switches, room.us.uid)


def dead(room):
    """The record of a session that has died."""
    puppet = room.start()
    session = room.open(puppet.pid, Kind.RUN, sid=puppet.pid)
    room.ledger.exited(puppet.pid, killed())
    return room.ledger.record(session.key)


def test_within_the_budget_nothing_is_held(room, restraint):
    assert [restraint.refuses(dead(room), 3) for _ in range(2)] == ["", ""]
    assert restraint.held() == ""
    assert not room.where.switches.exists()


def test_beyond_the_budget_the_breaker_opens_once_and_holds_for_who_comes_after(room, restraint):
    answers = [restraint.refuses(dead(room), 1) for _ in range(5)]
    why = "3 causes within 30 s had something to end: the budget is 2"
    assert answers == ["", "", *[f"the kill budget is spent: {why}"] * 3]
    assert room.told(BreakerOpened) == [BreakerOpened(why)]
    assert restraint.held() == f"the kill budget is spent: {why}"
    assert SwitchBoard(room.where.switches, "").held() == restraint.held()


def test_to_resume_begins_a_new_budget(room, restraint):
    for _ in range(3):
        restraint.refuses(dead(room), 1)
    Halting(room.bus, SwitchBoard(room.where.switches, "")).resume()  # another process's word is enough
    assert [bool(restraint.refuses(dead(room), 1)) for _ in range(3)] == [False, False, True]
    assert len(room.told(BreakerOpened)) == 2


def test_a_pause_and_the_mode_hold_and_cost_no_budget(room, restraint):
    Halting(room.bus, room.switches).pause(None)
    assert [restraint.refuses(dead(room), 1) for _ in range(4)] == ["a person has paused Sentinel"] * 4
    room.switches.change(Switches.going_on)
    room.policy = Policy(Mode.OBSERVE, budget=Allowance(causes=2))
    assert restraint.refuses(dead(room), 1) == 'the configuration says mode = "observe"'
    room.policy = Policy(budget=Allowance(causes=2))
    assert restraint.refuses(dead(room), 1) == ""
    assert room.told(BreakerOpened) == []


def test_the_share_is_of_the_users_own_living_processes(room, restraint):
    room.policy = Policy(budget=Allowance(share=0.5))
    assert restraint.refuses(dead(room), 30) == ""
    second = dead(room)
    everyone = restraint._population(10_000)
    assert 0 < everyone < 30
    assert restraint.refuses(second, 1) == (
        f"the kill budget is spent: 31 of {everyone + 30} processes were to be ended within 30 s"
    )
