"""Times as people type them (the forms of systemd.time(7), and ISO 8601), and as they read them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

import click

_SECOND = timedelta(seconds=1)
_UNITS = {
    "us": timedelta(microseconds=1),
    "ms": timedelta(milliseconds=1),
    **dict.fromkeys(("s", "sec", "second", "seconds"), _SECOND),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60 * _SECOND),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600 * _SECOND),
    **dict.fromkeys(("d", "day", "days"), timedelta(days=1)),
    **dict.fromkeys(("w", "week", "weeks"), timedelta(weeks=1)),
    **dict.fromkeys(("M", "month", "months"), timedelta(days=30.44)),  # systemd's month and year
    **dict.fromkeys(("y", "year", "years"), timedelta(days=365.25)),
}
_DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
_PART = r"(\d{1,12}(?:\.\d{1,9})?)\s*([A-Za-z]+)"
_SPAN = re.compile(rf"(?P<sign>[+-]?)\s*(?P<parts>(?:{_PART}\s*)+?)(?P<word>ago|left)?", re.ASCII)
_EPOCH = re.compile(r"@(\d{1,12}(?:\.\d{1,9})?)", re.ASCII)


def parse(text: str, now: float) -> float:
    """Read a point in time.

    ``2026-10-30 18:17:16`` (parts may be missing at the end, or the date), ISO 8601 with or
    without a zone, ``now``, ``today``, ``yesterday``, ``tomorrow``, ``10m ago`` or ``-10m``
    or ``10m`` (before ``now``), ``+10m``, ``@`` and seconds since the epoch. Without a zone
    it is local time.

    Args:
        text: What was typed.
        now: Seconds since the epoch.

    Returns:
        Seconds since the epoch.

    Raises:
        ValueError: It is none of these, with a sentence that shows some.
    """
    try:
        when = _read(text.strip(), now)
        rfc3339(when)
    except (ValueError, OverflowError, OSError, KeyError) as error:
        forms = '"2026-10-30 18:17:16", "18:17", "yesterday", "10m ago"'
        raise ValueError(f'"{text}" is no time; try one like {forms}') from error
    return when


def after(length: str, now: float, *, like: str = "30m, 1h, 2d") -> float:
    """The time that is so much later: seconds since the epoch, as ``now`` is.

    Raises:
        click.UsageError: It is no length of time, with a sentence that shows some (``like``).
    """
    try:
        return parse(f"+{length}", now)
    except ValueError as error:
        raise click.UsageError(f'"{length}" is no length of time; try one like {like}') from error


def _read(asked: str, now: float) -> float:
    if asked == "now":
        return now
    if asked in _DAYS:
        day = _local(now).date() + timedelta(days=_DAYS[asked])
        return datetime.combine(day, time()).timestamp()
    if found := _EPOCH.fullmatch(asked):
        return float(found[1])
    if found := _SPAN.fullmatch(asked):
        return now + _offset(found)
    return _date_and_time(asked, _local(now).date()).timestamp()


def rfc3339(when: float) -> str:
    """The time as records have it: UTC, microseconds, ``Z``. Such texts sort by time.

    Raises:
        ValueError: The year has no four digits.
    """
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def local(stamp: str) -> str:
    """A record's time for people: local, with milliseconds. Where somebody edited the journal there may be none."""
    try:
        return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError):
        return "at an unknown time"


def age(seconds: float) -> str:
    """``47s``, ``12m``, ``3h``, ``2d``: the largest unit that counts."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{int(seconds // length)}{unit}"
    return f"{max(0, int(seconds))}s"


def _local(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC).astimezone()


def _offset(span: re.Match[str]) -> float:
    length = sum(float(number) * _UNITS[unit].total_seconds() for number, unit in re.findall(_PART, span["parts"]))
    if span["sign"] and span["word"]:
        raise ValueError("a sign and a word say the same, or the contrary")
    return length if span["sign"] == "+" or span["word"] == "left" else -length


def _date_and_time(asked: str, today: date) -> datetime:
    if ":" in asked[:3]:  # else "2026" would be 26 minutes past eight in the evening
        return datetime.combine(today, time.fromisoformat(asked))
    return datetime.fromisoformat(asked)
