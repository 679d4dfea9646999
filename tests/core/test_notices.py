"""When a person is told. The clock is a number here: a minute takes no time."""

from __future__ import annotations

import pytest

from sentinel.core import notices
from sentinel.core.actions import Outcome, Result
from sentinel.core.facts import ProcessId
from sentinel.core.notices import AT_ONCE, GROUP, REFILL, Bucket, Manner, Outbox, Quiet, quiet_hours
from sentinel.core.sessions import Kind, Session
from sentinel.core.tally import sentence, tally

ALL_DAY = Quiet(0, 0)
ENDED = (Outcome("1@7", Result.ENDED),)
NOON = 12 * 60


def died(number=1, name="claude"):
    return tally(Session(Kind.AGENT, name, ProcessId(number, 7)), "ended", ENDED)


def flow(outbox, *, begin, end, step, each=None, replaceable=False):
    """Play from ``begin`` to ``end``; returns when each bulletin came, and what it says."""
    said = []
    for number in range(round((end - begin) / step)):
        now = begin + number * step
        if each is not None:
            each(now, number)
        if (bulletin := outbox.take(now)) is not None:
            said.append((now, bulletin))
            outbox.told(bulletin, now, replaceable=replaceable)
    return said


def test_what_a_person_answered_is_not_replaced():
    outbox = Outbox()
    outbox.add(died(1), 100.0, cause=7)
    outbox.told(outbox.take(102.0), 102.0, replaceable=True)
    outbox.answered()
    outbox.add(died(2), 103.0, cause=8)
    bulletin = outbox.take(105.0)
    assert (bulletin.tally.sessions, bulletin.replaces) == (1, False)


# -- grouping --------------------------------------------------------------------------


def test_nothing_is_due_when_nothing_waits():
    assert Outbox().due(5) is None
    assert Outbox().take(5) is None
    assert Outbox().rest(5) is None


def test_the_first_waits_for_others_and_what_comes_meanwhile_is_told_with_it():
    outbox = Outbox()
    outbox.add(died(1), 100.0, cause=7)
    outbox.add(died(2, "codex"), 101.9, cause=9)
    assert outbox.due(101.9) == 102.0
    assert outbox.take(101.99) is None
    bulletin = outbox.take(102.0)
    assert (bulletin.tally.sessions, bulletin.cause, bulletin.replaces, bulletin.unwanted) == (2, 7, False, "")
    assert outbox.due(102.0) is None


def test_the_next_group_begins_with_the_next_one():
    outbox = Outbox()
    outbox.add(died(1), 100.0, cause=7)
    outbox.take(102.0)
    outbox.add(died(2), 103.0, cause=8)
    assert outbox.take(104.9) is None
    assert outbox.take(105.0).cause == 8


# -- how often -------------------------------------------------------------------------


def test_three_at_once_then_one_a_minute():
    bucket = Bucket()
    for _ in range(AT_ONCE):
        assert bucket.wait(1000.0) == 0
        bucket.spend(1000.0)
    assert bucket.wait(1000.0) == REFILL
    assert bucket.wait(1059.0) == pytest.approx(1)
    assert bucket.wait(1060.0) == 0


def test_a_quiet_hour_earns_no_more_than_three():
    bucket = Bucket()
    bucket.spend(0)
    bucket.wait(3600.0)
    for _ in range(AT_ONCE):
        bucket.spend(3600.0)
    assert bucket.wait(3600.0) == REFILL


@pytest.mark.parametrize("replaceable", [False, True])
@pytest.mark.parametrize("begin", [0.0, 123456.7])
def test_of_ten_thousand_clean_ups_in_a_minute_four_popups_tell_all(begin, replaceable):
    outbox, number = Outbox(), 10_000

    def each(now, count):
        outbox.add(died(count), now, cause=count)

    said = flow(outbox, begin=begin, end=begin + 60, step=60 / number, each=each, replaceable=replaceable)
    assert len(said) <= 4
    said += flow(outbox, begin=begin + 60, end=begin + 300, step=0.1, replaceable=replaceable)
    if replaceable:
        assert [bulletin.replaces for _, bulletin in said] == [False, *[True] * (len(said) - 1)]
        assert said[-1][1].tally.results[Result.ENDED] == number
    else:
        assert sum(bulletin.tally.sessions for _, bulletin in said) == number
    assert outbox.due(begin + 300) is None


def test_what_cannot_wait_comes_at_once_and_makes_the_others_wait_longer():
    outbox = Outbox()
    outbox.interrupt(0.0)
    said = flow(outbox, begin=0.0, end=60.0, step=0.01, each=lambda now, n: outbox.add(died(n), now, n))
    assert len(said) == AT_ONCE - 1  # four popups in the first minute, that one among them


def test_at_the_end_what_waits_is_told_at_once_unless_there_were_too_many():
    outbox = Outbox()
    outbox.add(died(), 0.0, cause=3)
    rest = outbox.rest(0.1)
    assert (rest.unwanted, rest.cause, rest.tally.sessions) == ("", 3, 1)
    for _ in range(AT_ONCE):
        outbox.interrupt(0.2)
    outbox.add(died(), 0.3, cause=4)
    rest = outbox.rest(0.4)
    assert (rest.unwanted, rest.cause, rest.tally.sessions) == ("too many at once", 4, 1)


# -- replacing -------------------------------------------------------------------------


def test_a_popup_that_can_be_replaced_is_replaced_by_one_that_says_all_of_it():
    outbox = Outbox()
    outbox.add(died(1), 0.0, cause=1)
    outbox.told(outbox.take(GROUP), 2.1, replaceable=True)
    outbox.add(died(2, "codex"), 50.0, cause=2)
    bulletin = outbox.take(50.0 + GROUP)
    assert bulletin.replaces
    assert sentence(bulletin.tally) == "claude and codex died: 2 processes ended."


@pytest.mark.parametrize(("later", "replaceable"), [(notices.EPISODE, True), (10.0, False)])
def test_one_that_is_old_or_cannot_be_replaced_stays(later, replaceable):
    outbox = Outbox()
    outbox.add(died(1), 0.0, cause=1)
    outbox.told(outbox.take(GROUP), GROUP, replaceable=replaceable)
    outbox.add(died(2, "codex"), later, cause=2)
    bulletin = outbox.take(later + GROUP)
    assert not bulletin.replaces
    assert sentence(bulletin.tally) == "codex ended: 1 process ended."


# -- when not --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("22:00-07:00", ["22:00", "23:59", "00:00", "06:59"], ["07:00", "21:59", "12:00"]),
        ("09:30-17:00", ["09:30", "16:59"], ["09:29", "17:00", "00:00"]),
        ("00:00-00:00", ["00:00", "12:00", "23:59"], []),
    ],
)
def test_quiet_hours_may_go_over_midnight(text, inside, outside):
    quiet = quiet_hours(text)
    assert str(quiet) == text
    assert all(quiet.holds(minute(time)) for time in inside)
    assert not any(quiet.holds(minute(time)) for time in outside)


def minute(time):
    hours, minutes = time.split(":")
    return 60 * int(hours) + int(minutes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "22:00",
        "22:00-",
        "22:00-24:00",
        "22:60-07:00",
        "2200-0700",
        "22:00-07:00-08:00",
        "2:00-07:00",
        "²2:00-07:00",
    ],
)
def test_hours_that_are_none_are_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the configuration says it in its own words
        quiet_hours(text)


def test_in_quiet_hours_nothing_is_shown_nor_counted_nor_saved_up():
    outbox = Outbox()
    for number in range(10):
        outbox.add(died(number), 10.0 * number, cause=number)
        bulletin = outbox.take(10.0 * number + GROUP, ALL_DAY, NOON)
        assert bulletin.unwanted == "these are quiet hours (00:00-00:00)"
    outbox.add(died(99), 200.0, cause=99)
    for _ in range(AT_ONCE):
        outbox.interrupt(200.0)
    bulletin = outbox.rest(200.0, ALL_DAY, NOON)
    assert bulletin.tally.sessions == 1


def test_outside_of_quiet_hours_they_change_nothing():
    outbox = Outbox()
    outbox.add(died(), 0.0, cause=1)
    assert outbox.take(GROUP, Quiet(0, 60), NOON).unwanted == ""


@pytest.mark.parametrize(
    ("manner", "results", "wanted"),
    [
        (Manner(), [Result.ENDED], True),
        (Manner(), [Result.GONE, Result.KEPT, Result.HELD], False),
        (Manner(), [], False),
        (Manner(min_things=2), [Result.ENDED], False),
        (Manner(min_things=2), [Result.ENDED, Result.GONE], False),
        (Manner(min_things=2), [Result.ENDED, Result.REMOVED], True),
        (Manner(silent=frozenset({Kind.AGENT})), [Result.ENDED], False),
        (Manner(silent=frozenset({Kind.PANE})), [Result.ENDED], True),
    ],
)
def test_what_is_worth_it(manner, results, wanted):
    outcomes = tuple(Outcome("1@7", result) for result in results)
    assert manner.wants(Kind.AGENT, outcomes) is wanted
