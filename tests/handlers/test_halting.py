"""Pause and resume: what they write, say and tell."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import pytest

from sentinel.core.events import AgentStarted, Paused, PauseRanOut, WentOn, Woke
from sentinel.core.facts import ProcessId
from sentinel.core.switches import Halt, Keep
from sentinel.errors import SentinelError
from sentinel.handlers.halting import PAUSED, Halting
from sentinel.history import History
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


def test_mercy_no_pause_for_a_while_ends_what_holds_because_nobody_knows_what_was_kept(room, halting, where):
    where.switches.write_text("{")
    state = halting.pause(time.time() + 60)
    assert state["held"].startswith("nobody can tell what was to be kept")
    assert state["held_until"] is None
    assert SwitchBoard(where.switches, "another boot").now().pause.until is None
    assert room.told(Paused) == [Paused(None)]
    assert halting.resume()["was"] == state["held"]
    assert room.wishes().acts


def test_a_pause_for_a_while_ends_by_itself(room, halting):
    until = time.time() + 1.0
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


# -- the end of a pause ----------------------------------------------------------------

DAY = 86400.0


class Timer:
    """A loop's timer that goes off when the test says so."""

    def __init__(self):
        self.armed = []

    def __call__(self, delay, what, *words):
        self.armed.append((delay, lambda: what(*words)))

    def go_off(self):
        self.armed.pop(0)[1]()


@pytest.fixture
def timer():
    return Timer()


def over(switches, seconds=100.0):
    """Let the clock that nobody can set go on."""
    now = switches.moment
    switches.moment = lambda: replace(now(), wall=now().wall + seconds, up=now().up + seconds)


def record(room, kind):
    """The last record of a kind."""
    return [entry.record for entry in History(room.where.journal).read() if entry.record["type"].endswith(kind)][-1]


def test_when_a_pause_runs_out_it_is_told_once_as_what_followed_from_it(room, timer):
    Halting(room.bus, room.switches, timer).pause(until := time.time() + 60)
    ((delay, _),) = timer.armed
    assert 58 < delay < 60
    over(room.switches)
    timer.go_off()
    (told,) = room.told(PauseRanOut)
    assert (told.at, told.why_held) == (pytest.approx(until, abs=1), "")
    assert record(room, "switch.expired")["cause"] == record(room, "switch.paused")["seq"]
    assert room.switches.now().pause is None
    assert timer.armed == []


def test_a_timer_that_goes_off_early_waits_for_the_rest(room, timer):
    Halting(room.bus, room.switches, timer).pause(time.time() + 60)
    timer.go_off()
    assert (len(timer.armed), room.told(PauseRanOut)) == (1, [])


def test_each_pause_has_one_timer_and_one_without_an_end_has_none(room, timer):
    halting = Halting(room.bus, room.switches, timer)
    halting.pause(None)
    assert timer.armed == []
    halting.pause(time.time() + 60)
    halting.pause(time.time() + 120)
    timer.go_off()
    assert len(timer.armed) == 1


def test_an_agent_that_starts_after_it_tells_it_and_one_that_starts_before_waits_for_it(room, timer, halting):
    halting.pause(until := time.time() + 60)
    later = Halting(room.bus, room.switches, timer)
    room.bus.publish(AgentStarted("1", "polling", ""))
    assert (len(timer.armed), room.told(PauseRanOut)) == (1, [])
    over(room.switches)
    Halting(room.bus, room.switches, timer)
    room.bus.publish(AgentStarted("1", "polling", ""))
    assert [told.at for told in room.told(PauseRanOut)] == [pytest.approx(until, abs=1)]
    assert later.state()["held"] == ""


def test_a_machine_that_slept_through_its_end_tells_it_when_it_wakes(room, timer):
    Halting(room.bus, room.switches, timer).pause(time.time() + 60)
    over(room.switches)
    room.bus.publish(Woke(100.0))
    assert len(room.told(PauseRanOut)) == 1
    timer.go_off()
    assert len(room.told(PauseRanOut)) == 1


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_who_asks_next_has_it_told_where_no_agent_was(room, halting, verb):
    halting.pause(time.time() + 60)
    over(room.switches)
    assert halting.pause(None)["held"] if verb == "pause" else halting.resume()["was"] == ""
    assert len(room.told(PauseRanOut)) == 1


def test_what_still_holds_is_said(room, halting):
    halting.pause(time.time() + 60)
    room.switches.change(lambda now: replace(now, breaker=Halt(1.0, "too much at once")))
    over(room.switches)
    halting.resume()
    assert room.told(PauseRanOut)[0].why_held == "too much at once"


@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_mercy_a_clock_that_is_set_ends_no_pause(room, halting, monkeypatch, jump):
    halting.pause(time.time() + 60)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    assert not room.wishes().acts
    assert halting.state()["held_until"] == pytest.approx(real() + 60 + jump, abs=5)
