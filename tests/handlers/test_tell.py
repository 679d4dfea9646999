"""What a person is told, and when nobody is."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from sentinel.bus import Bus
from sentinel.core import notices
from sentinel.core.actions import Outcome, Result
from sentinel.core.buttons import Button
from sentinel.core.events import (
    BreakerOpened,
    ButtonPressed,
    CleanedUp,
    LockRemoved,
    Notified,
    Paused,
    SessionJudged,
    StartedSafely,
)
from sentinel.core.facts import Death, ProcessId
from sentinel.core.notices import Manner, Quiet
from sentinel.core.rules.locks import LockKind
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Condemned, Spared
from sentinel.handlers.buttons import Buttons, Offer
from sentinel.handlers.halting import Halting
from sentinel.handlers.tell import Tell
from sentinel.notify import Delivery
from sentinel.switches import SwitchBoard
from tests.core.cases import facts

CLAUDE = Session(Kind.AGENT, "claude", ProcessId(4231, 7), directory="/srv/shop")
KILLED = Death(1.0, 9)
SOON = 0.05
SHOWN = Delivery(shown=True, by="desktop (D-Bus)", mark=7)


class Shelf:
    """Stands in for the notifier: keeps what it is to show. Real ones are in tests/real."""

    def __init__(self, delivery=SHOWN, wait=0.0):
        self.sent = []
        self._delivery = delivery
        self._wait = wait

    async def send(self, message):
        await asyncio.sleep(self._wait)
        self.sent.append(message)
        return self._delivery

    @property
    def bodies(self):
        return [message.body for message in self.sent]


def outcomes(*results):
    return tuple(Outcome(f"{number}@1", result) for number, result in enumerate(results))


def cleaned(*results, session=CLAUDE):
    return CleanedUp(session, outcomes(*results or [Result.ENDED]), 0.1)


def condemned(number, ports=(), memory=0):
    seen = facts(id=ProcessId(number, 1), memory=memory)
    return Condemned(seen.id, seen, (), ports=ports)


def tell(*events, shelf, manner=None, then=None):
    """Publish events and wait until everything is told. Returns what was recorded."""
    recorded = []

    async def scenario():
        bus = Bus(lambda event, cause: (recorded.append((event, cause)), len(recorded))[1])
        it = Tell(bus, shelf, lambda: manner or Manner())
        for event in events:
            bus.publish(event)
        if then is not None:
            await then(bus, it)
        await it.close()

    asyncio.run(scenario())
    return recorded


def kinds(recorded):
    return [type(event) for event, _ in recorded]


def test_a_clean_up_is_told_with_how_it_died_and_recorded_as_its_consequence():
    shelf = Shelf()
    spared = Spared(ProcessId(9, 1), "nohup", "it was started to outlive its terminal")
    recorded = tell(SessionJudged(CLAUDE, KILLED, (spared,)), cleaned(), shelf=shelf)
    [message] = shelf.sent
    assert (message.title, message.urgent) == ("Sentinel cleaned up", False)
    assert message.body == (
        "claude in /srv/shop was killed by SIGKILL: 1 process ended, 1 left alone.\nsentinel explain claude-4231"
    )
    assert message.short == "Sentinel: claude died: 1 ended. sentinel explain claude-4231"
    event, cause = recorded[-1]
    assert event == Notified(CLAUDE.key, message.body, shown=True, by="desktop (D-Bus)")
    assert cause == 2


def test_what_was_freed_is_told_but_no_port_on_which_somebody_else_listens():
    shelf = Shelf()
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as freed:
        both = taken.getsockname()[1], freed.getsockname()[1]
        freed.close()
        judged = SessionJudged(CLAUDE, KILLED, (condemned(0, both, 1_800_000_000), condemned(1, (), 40_000_000)))
        tell(judged, cleaned(Result.ENDED, Result.REFUSED), shelf=shelf)
    assert f"1 process ended, 1 could not be cleaned, about 1.8 GB freed, port {both[1]} free." in shelf.bodies[0]


def test_one_that_was_spared_for_a_while_only_was_not_left_alone():
    shelf = Shelf()
    spared = Spared(ProcessId(0, 1), "unknown", "nobody could look at it")
    tell(
        SessionJudged(CLAUDE, KILLED, (spared,)), SessionJudged(CLAUDE, KILLED, (condemned(0),)), cleaned(), shelf=shelf
    )
    assert "left alone" not in shelf.bodies[0]


def test_one_that_ended_by_itself_before_the_second_look_was_not_left_alone():
    shelf = Shelf()
    dying, staying = Spared(ProcessId(8, 1), "unreadable", "permission denied"), Spared(ProcessId(9, 1), "nohup", "so")
    looks = SessionJudged(CLAUDE, KILLED, (condemned(0), dying, staying)), SessionJudged(CLAUDE, KILLED, (staying,))
    tell(*looks, cleaned(), shelf=shelf)
    assert "1 process ended, 1 left alone" in shelf.bodies[0]


def test_what_comes_together_is_told_together():
    codex = Session(Kind.AGENT, "codex", ProcessId(5, 7))
    shelf = Shelf()
    recorded = tell(cleaned(), cleaned(Result.REMOVED, session=codex), shelf=shelf)
    assert shelf.bodies == [
        "claude in /srv/shop and codex died: 1 process ended, 1 stale file removed.\nsentinel events --since 10m"
    ]
    assert recorded[-1][0].session == ""
    assert recorded[-1][1] == 1


def test_a_group_is_told_when_its_time_is_over_and_not_before(monkeypatch):
    monkeypatch.setattr(notices, "GROUP", SOON)
    shelf = Shelf()

    async def then(bus, it):
        assert shelf.sent == []
        async with asyncio.timeout(20):
            while not shelf.sent:
                await asyncio.sleep(0.01)

    assert kinds(tell(cleaned(), shelf=shelf, then=then)) == [CleanedUp, Notified]


def test_the_next_one_replaces_it_and_says_all_of_it(monkeypatch):
    monkeypatch.setattr(notices, "GROUP", SOON)
    shelf = Shelf()

    async def then(bus, it):
        async with asyncio.timeout(20):
            while not shelf.sent:
                await asyncio.sleep(0.01)
        bus.publish(cleaned(session=Session(Kind.AGENT, "codex", ProcessId(5, 7))))

    tell(cleaned(), shelf=shelf, then=then)
    assert [message.replaces for message in shelf.sent] == [False, True]
    assert shelf.bodies[1].startswith("claude in /srv/shop and codex died: 2 processes ended.")


@pytest.mark.parametrize("delivery", [Delivery(shown=True, by="tmux"), Delivery(shown=False, why="no")])
def test_what_cannot_be_replaced_is_not_said_again(monkeypatch, delivery):
    monkeypatch.setattr(notices, "GROUP", SOON)
    shelf = Shelf(delivery)

    async def then(bus, it):
        async with asyncio.timeout(20):
            while not shelf.sent:
                await asyncio.sleep(0.01)
        bus.publish(cleaned(session=Session(Kind.AGENT, "codex", ProcessId(5, 7))))

    tell(cleaned(), shelf=shelf, then=then)
    assert not shelf.sent[1].replaces
    assert shelf.bodies[1].startswith("codex ended: 1 process ended.")


def test_of_a_storm_little_is_shown_and_nothing_is_missing():
    """The end of the agent tells the rest. That a minute is like this says tests/core/test_notices.py."""
    shelf = Shelf()
    many = [cleaned(session=Session(Kind.AGENT, "claude", ProcessId(number, 7))) for number in range(1, 10_001)]
    recorded = tell(*many, shelf=shelf)
    assert kinds(recorded).count(CleanedUp) == 10_000
    assert len(shelf.sent) == 1
    assert "and 9998 more died: 10000 processes ended" in shelf.bodies[0]


def removed(result=Result.REMOVED):
    return LockRemoved("/srv/shop/server.pid", LockKind.PID_FILE, "process 9", Outcome("x", result), 0.3, 4)


def test_a_lock_that_was_taken_away_is_told_as_clean_ups_are():
    shelf = Shelf()
    tell(removed(), shelf=shelf)
    assert shelf.bodies == [
        "process 9 (/srv/shop/server.pid) ended: 1 stale file removed.\nsentinel events --since 10m"
    ]


@pytest.mark.parametrize(("event", "manner"), [(removed(Result.REFUSED), Manner()), (removed(), Manner(min_things=2))])
def test_a_lock_that_is_not_worth_it_is_not_told(event, manner):
    shelf = Shelf()
    tell(event, shelf=shelf, manner=manner)
    assert shelf.sent == []


def test_a_breaker_that_opens_is_told_at_once_and_what_it_holds_is_not():
    shelf = Shelf()
    held = Outcome("1@7", Result.HELD, "the kill budget is spent")
    recorded = tell(BreakerOpened("6 causes within 30 s"), CleanedUp(CLAUDE, (held,), 0.1), shelf=shelf)
    [message] = shelf.sent
    assert (message.title, message.urgent) == ("Sentinel stopped itself", True)
    assert message.body == "It only reports now: 6 causes within 30 s.\nsentinel resume"
    assert message.short == "Sentinel stopped itself, and only reports now. sentinel resume"
    assert recorded[-1][0] == Notified("", message.body, shown=True, by="desktop (D-Bus)")


def test_safe_mode_is_told_at_once():
    shelf = Shelf()
    tell(StartedSafely("it crashed 3 times within 60 s"), shelf=shelf)
    [message] = shelf.sent
    assert (message.title, message.urgent) == ("Sentinel is in safe mode", True)
    assert message.body == "It only reports now: it crashed 3 times within 60 s.\nsentinel doctor"
    assert message.short == "Sentinel is in safe mode, and only reports now. sentinel doctor"


def test_in_quiet_hours_only_what_is_urgent_is_shown_and_the_rest_is_recorded():
    shelf = Shelf()
    recorded = tell(cleaned(), BreakerOpened("6 causes"), shelf=shelf, manner=Manner(quiet=Quiet(0, 0)))
    assert [message.urgent for message in shelf.sent] == [True]
    [why] = [event.why for event, _ in recorded if isinstance(event, Notified) and not event.shown]
    assert why == "these are quiet hours (00:00-00:00)"


def test_one_that_could_not_be_shown_is_recorded_with_the_reason():
    recorded = tell(cleaned(), shelf=Shelf(Delivery(shown=False, why="this log-in has no desktop")))
    assert (recorded[-1][0].shown, recorded[-1][0].why) == (False, "this log-in has no desktop")


@pytest.mark.parametrize(
    ("results", "manner"),
    [
        ([Result.GONE] * 3, Manner()),
        ([Result.ENDED] * 2, Manner(min_things=3)),
        ([Result.ENDED], Manner(silent=frozenset({Kind.AGENT}))),
    ],
)
def test_what_is_not_worth_it_is_not_told(results, manner):
    shelf = Shelf()
    assert kinds(tell(cleaned(*results), shelf=shelf, manner=manner)) == [CleanedUp]
    assert shelf.sent == []


def test_of_a_pipeline_nobody_is_told():
    shelf = Shelf()
    assert kinds(tell(cleaned(session=replace(CLAUDE, unattended=True)), shelf=shelf)) == [CleanedUp]
    assert shelf.sent == []


def test_a_person_who_wants_no_notifications_gets_none():
    assert kinds(tell(cleaned(), BreakerOpened("6 causes"), shelf=None)) == [CleanedUp, BreakerOpened]


def test_how_one_died_is_forgotten_with_its_clean_up_and_never_kept_for_many(monkeypatch):
    monkeypatch.setattr(notices, "GROUP", 0.0)
    shelf = Shelf(Delivery(shown=True))
    others = [SessionJudged(Session(Kind.AGENT, "codex", ProcessId(n, 1)), KILLED, ()) for n in range(2, 400)]
    tell(SessionJudged(CLAUDE, KILLED, ()), *others, cleaned(), shelf=shelf)
    assert shelf.bodies[0].startswith("claude in /srv/shop ended: ")


def test_nobody_waits_for_a_slow_desktop_but_the_farewell(monkeypatch):
    monkeypatch.setattr(notices, "GROUP", 0.0)
    shelf = Shelf(wait=0.2)
    beats = 0

    async def then(bus, it):
        nonlocal beats
        while not shelf.sent:
            await asyncio.sleep(0.01)
            beats += 1

    recorded = tell(cleaned(), shelf=shelf, then=then)
    assert kinds(recorded) == [CleanedUp, Notified]
    assert beats > 5  # a loop that was blocked would have counted to 1


def test_while_nothing_waits_there_is_no_timer():
    async def then(bus, it):
        assert it._timer is None
        bus.publish(cleaned())
        assert it._timer is not None
        await it.close()
        assert it._timer is None

    tell(shelf=Shelf(), then=then)


def test_what_could_not_wait_counts_too():
    shelf = Shelf()
    recorded = tell(cleaned(), *[BreakerOpened("6 causes")] * 3, shelf=shelf)
    assert [message.urgent for message in shelf.sent] == [True] * 3
    assert [event.why for event, _ in recorded if isinstance(event, Notified) and not event.shown] == [
        "too many at once"
    ]


# -- buttons ---------------------------------------------------------------------------


class Pressed:
    """Stands in for a popup: presses the first of these that is on it. Real ones are in tests/real."""

    def __init__(self, *buttons):
        self._buttons = buttons

    def listen(self, heed):
        for button in self._buttons:
            asyncio.get_running_loop().call_soon(heed, button)


class Screen(Shelf):
    """A shelf whose popups are pressed, the first like this, the next like that."""

    def __init__(self, *presses):
        super().__init__()
        self._presses = list(presses)

    async def send(self, message):
        delivery = await super().send(message)
        there = bool(message.buttons and self._presses)
        return replace(delivery, popup=Pressed(*self._presses.pop(0))) if there else delivery


def pressed(shelf, *events, tmp_path, manner=None):
    """What was recorded after these events, with what caused each."""
    recorded = []

    async def scenario():
        bus = Bus(lambda event, cause: (recorded.append((event, cause)), len(recorded))[1])
        switches = SwitchBoard(tmp_path / "switches.json", "a boot")
        it = Tell(bus, shelf, lambda: manner or Manner(), Buttons(bus, Halting(bus, switches), tmp_path / "quarantine"))
        for event in events:
            bus.publish(event)
        async with asyncio.timeout(20):
            while not shelf.sent or it._at_once or shelf._presses:
                await asyncio.sleep(0.01)
        await it.close()

    asyncio.run(scenario())
    return recorded


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(notices, "GROUP", 0.0)


@pytest.mark.usefixtures("at_once")
def test_a_pressed_pause_is_recorded_with_the_popup_as_its_cause_and_told_in_its_place(tmp_path):
    screen = Screen([Button.PAUSE])
    recorded = pressed(screen, cleaned(), tmp_path=tmp_path)
    assert kinds(recorded) == [CleanedUp, Notified, ButtonPressed, Paused, Notified]
    assert [cause for _, cause in recorded] == [0, 1, 2, 3, 3]
    assert recorded[2][0] == ButtonPressed(CLAUDE.key, Button.PAUSE)
    assert [message.replaces for message in screen.sent] == [False, True]
    assert screen.sent[1].body.endswith("\nsentinel resume")
    assert screen.sent[1].buttons == ()


@pytest.mark.usefixtures("at_once")
def test_why_is_told_in_its_place_and_the_rest_can_still_be_pressed(tmp_path):
    screen = Screen([Button.WHY], [Button.PAUSE])
    evidence = replace(condemned(0), evidence=("it was born of claude",))
    recorded = pressed(screen, SessionJudged(CLAUDE, KILLED, (evidence,)), cleaned(), tmp_path=tmp_path)
    first, why, paused = screen.sent
    assert first.buttons == (Button.WHY, Button.PAUSE)
    assert (why.title, why.replaces, why.buttons) == ("Sentinel: why", True, (Button.PAUSE,))
    assert why.body == f"{evidence.facts.name} (0): it was born of claude\nsentinel explain claude-4231"
    assert paused.title == "Sentinel is paused"
    told = [event for event, _ in recorded if isinstance(event, Notified)]
    assert [event.session for event in told] == [CLAUDE.key, CLAUDE.key, ""]


CODEX = Session(Kind.AGENT, "codex", ProcessId(5, 7))


async def until(true):
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)


def told_around_a_press(tmp_path, shelf, scenario):
    async def play():
        bus = Bus(lambda *_: 1)
        halting = Halting(bus, SwitchBoard(tmp_path / "switches.json", "a boot"))
        it = Tell(bus, shelf, Manner, Buttons(bus, halting, tmp_path / "quarantine"))
        bus.publish(cleaned())
        await until(lambda: shelf.sent and it._task is None)
        await scenario(bus, it)
        await it.close()

    asyncio.run(play())
    return [(message.title, message.replaces) for message in shelf.sent]


CLEANED, PAUSED = "Sentinel cleaned up", "Sentinel is paused"


@pytest.mark.usefixtures("at_once")
def test_what_a_person_reads_after_a_press_is_not_replaced(tmp_path):
    shelf = Shelf()

    async def scenario(bus, it):
        it._pressed(Offer(), 1, Button.PAUSE)
        await until(lambda: len(shelf.sent) == 2)
        bus.publish(cleaned(session=CODEX))

    assert told_around_a_press(tmp_path, shelf, scenario) == [(CLEANED, False), (PAUSED, True), (CLEANED, False)]
    assert shelf.bodies[2].startswith("codex ended: ")


@pytest.mark.usefixtures("at_once")
def test_an_answer_does_not_take_the_place_of_the_next_one_that_is_on_its_way(tmp_path):
    shelf = Shelf(wait=0.1)

    async def scenario(bus, it):
        bus.publish(cleaned(session=CODEX))
        await until(lambda: it._task is not None)
        it._pressed(Offer(), 1, Button.PAUSE)

    told = told_around_a_press(tmp_path, shelf, scenario)
    assert sorted(told) == [(CLEANED, False), (CLEANED, True), (PAUSED, False)]


@pytest.mark.usefixtures("at_once")
def test_who_wants_no_buttons_gets_none(tmp_path):
    screen = Screen()
    pressed(screen, cleaned(), tmp_path=tmp_path, manner=Manner(buttons=False))
    assert [message.buttons for message in screen.sent] == [()]


def test_what_is_urgent_has_no_buttons(tmp_path):
    screen = Screen()
    pressed(screen, BreakerOpened("6 causes within 30 s"), StartedSafely("it crashed 3 times"), tmp_path=tmp_path)
    assert [(message.urgent, message.buttons) for message in screen.sent] == [(True, ()), (True, ())]


def test_the_last_words_have_no_buttons_and_nothing_is_done_from_then_on(tmp_path):
    screen = Shelf()
    heard = []

    async def scenario():
        bus = Bus(lambda event, _: (heard.append(event), len(heard))[1])
        halting = Halting(bus, SwitchBoard(tmp_path / "switches.json", "a boot"))
        it = Tell(bus, screen, Manner, Buttons(bus, halting, tmp_path / "quarantine"))
        bus.publish(cleaned())
        await it.close()
        it._pressed(None, 2, Button.PAUSE)

    asyncio.run(scenario())
    assert [message.buttons for message in screen.sent] == [()]
    assert [type(event) for event in heard] == [CleanedUp, Notified]
