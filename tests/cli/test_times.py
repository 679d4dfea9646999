import contextlib
import os
import time
from datetime import UTC, datetime

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.cli import times

NOW = datetime(2026, 10, 30, 12, 0, tzinfo=UTC).timestamp()


@pytest.fixture
def berlin():
    before = os.environ.get("TZ")
    os.environ["TZ"] = "CET-1CEST,M3.5.0,M10.5.0/3"  # needs no time zone files
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("now", "2026-10-30T12:00:00"),
        ("today", "2026-10-29T23:00:00"),
        ("yesterday", "2026-10-28T23:00:00"),
        ("tomorrow", "2026-10-30T23:00:00"),
        ("2026-10-30 18:17:16", "2026-10-30T17:17:16"),
        ("2026-10-30T18:17:16", "2026-10-30T17:17:16"),
        ("2026-10-20 18:17:16", "2026-10-20T16:17:16"),  # summer time
        ("2026-10-30 18:17", "2026-10-30T17:17:00"),
        ("2026-10-30", "2026-10-29T23:00:00"),
        ("2026-10-30T18:17:16Z", "2026-10-30T18:17:16"),
        ("2026-10-30T18:17:16.5+02:00", "2026-10-30T16:17:16.500000"),
        ("18:17", "2026-10-30T17:17:00"),
        ("18:17:16", "2026-10-30T17:17:16"),
        ("-1h", "2026-10-30T11:00:00"),
        ("+1h", "2026-10-30T13:00:00"),
        ("10m ago", "2026-10-30T11:50:00"),
        ("10m", "2026-10-30T11:50:00"),
        ("5 minutes ago", "2026-10-30T11:55:00"),
        ("1h 30min ago", "2026-10-30T10:30:00"),
        ("1h30min", "2026-10-30T10:30:00"),
        ("2 days left", "2026-11-01T12:00:00"),
        ("1.5s", "2026-10-30T11:59:58.500000"),
        ("  1w ", "2026-10-23T12:00:00"),
        ("@0", "1970-01-01T00:00:00"),
    ],
)
def test_what_is_meant_by_what_is_typed(typed, meant):
    found = times.parse(typed, NOW)
    assert found == datetime.fromisoformat(meant).replace(tzinfo=UTC).timestamp()


def test_a_month_is_not_a_minute():
    assert NOW - times.parse("1M", NOW) > 30 * 86400
    assert NOW - times.parse("1m", NOW) == 60


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "yesterda",
        "2026",
        "2026-13-01",
        "10 parsecs",
        "-5m ago",
        "99999999999y",
        "@999999999999",
        "18:61",
        "٣m",
        "m",
        "\x1b[2J",
    ],
)
def test_what_is_no_time_is_told_with_examples(typed):
    with pytest.raises(ValueError, match="is no time; try one like"):
        times.parse(typed, NOW)


@given(st.text() | st.from_regex(r"[-+@]?[0-9a-zT:. -]{1,30}"))
def test_nothing_else_is_raised(typed):
    with contextlib.suppress(ValueError):
        times.rfc3339(times.parse(typed, NOW))


def test_stamps_sort_like_times():
    stamps = [times.rfc3339(when) for when in (0, 1.000001, 999999999, NOW, NOW + 0.5, NOW + 1)]
    assert stamps == sorted(stamps)
    assert stamps[3] == "2026-10-30T12:00:00.000000Z"


@pytest.mark.usefixtures("berlin")
def test_people_read_local_time():
    assert times.local("2026-10-30T17:17:16.123456Z") == "2026-10-30 18:17:16.123"


@pytest.mark.parametrize("stamp", ["", "None", "yesterday", "0001-01-01T00:00:00+23:59"])
def test_a_record_without_a_time_has_an_unknown_one(stamp):
    assert times.local(stamp) == "at an unknown time"


@pytest.mark.parametrize(
    ("length", "seconds"), [("30m", 1800), (" 1h 5s", 3605), ("500ms", 0.5), ("0s", 0), ("2d", 172800)]
)
def test_a_length_of_time_is_counted_from_a_moment(length, seconds):
    assert times.after(length, 1000.0) == 1000.0 + seconds


@pytest.mark.parametrize("length", ["", "5", "-5m", "+5m", "5m ago", "5m left", "18:17", "now", "@5", "9000y", "long"])
def test_what_is_no_length_of_time_is_told_with_examples(length):
    with pytest.raises(click.UsageError, match="is no length of time; try one like 5s"):
        times.after(length, NOW, like="5s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0.2, "0s"),
        (47.9, "47s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (86399, "23h"),
        (86400 * 2.5, "2d"),
    ],
)
def test_an_age_is_its_largest_unit(seconds, text):
    assert times.age(seconds) == text
