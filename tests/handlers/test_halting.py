"""Pause and resume: what they write, say and tell."""

from __future__ import annotations

import sys
import time

import pytest

from sentinel.core.events import Paused, WentOn
from sentinel.core.facts import ProcessId
from sentinel.core.switches import Halt, Keep
from sentinel.errors import SentinelError
from sentinel.handlers.halting import PAUSED, Halting
from sentinel.switches import SwitchBoard

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def halting(room):
    return Halting(room.bus, room.switches)


def test_a_pause_holds_from_now_on_and_for_who_comes_after(room, halting, where):
    assert halting.pause(None)["held"] == PAUSED
    assert room.wishes().held == PAUSED
    assert not room.wishes().acts
    assert SwitchBoard(where.switches, "another boot").held() == PAUSED
    assert room.told(Paused) == [Paused(None)]


def test_to_pause_twice_is_told_once_and_a_pause_for_a_while_is_another_one(room, halting):
    assert "already" not in halting.pause(None)
    since = room.switches.now().pause.since
    assert halting.pause(None)["already"] is True
    assert room.switches.now().pause.since == since
    until = time.time() + 60
    assert halting.pause(until)["held_until"] == until
    assert "already" not in halting.pause(None)
    assert room.told(Paused) == [Paused(None), Paused(until), Paused(None)]


def test_a_pause_for_a_while_ends_by_itself(room, halting):
    until = time.time() + 0.3
    state = halting.pause(until)
    assert (state["held"], state["held_until"]) == (PAUSED, until)
    while time.time() < until:
        time.sleep(0.05)
    assert room.wishes().acts
    assert halting.state()["held_until"] is None


def test_a_pause_that_is_over_is_refused_and_changes_nothing(room, halting):
    with pytest.raises(SentinelError):
        halting.pause(time.time() - 1)
    assert room.wishes().acts
    assert room.events == []


def test_to_resume_ends_the_pause_and_closes_the_breaker(room, halting):
    halting.pause(None)
    room.switches.change(lambda now: type(now)(now.kept, now.pause, Halt(1.0, "too much at once")))
    assert halting.state()["held"] == "too much at once"
    assert halting.resume()["was"] == "too much at once"
    assert room.wishes().acts
    assert room.told(WentOn) == [WentOn("too much at once")]


def test_to_resume_what_runs_is_nothing_worth_telling(room, halting):
    assert halting.resume()["was"] == ""
    assert room.told(WentOn) == []


def test_the_state_counts_who_is_kept(room, halting):
    room.switches.change(lambda now: now.keeping([Keep(ProcessId(1, 1))]))
    assert halting.state() == {"held": "", "held_until": None, "kept": 1, "switch_trouble": ""}
