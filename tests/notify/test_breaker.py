from __future__ import annotations

import re

import pytest

from sentinel.notify.breaker import Breaker


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.record("no answer")


def test_two_failures_are_no_reason_to_stop(breaker):
    fail(breaker, 2)
    assert breaker.refusal() == ""


def test_after_three_failures_it_says_how_often_when_and_why(breaker):
    fail(breaker, 3)
    assert re.fullmatch(
        r"notifications failed 3 times, next try at \d\d:\d\d:\d\d \(last: no answer\)", breaker.refusal()
    )


def test_only_failures_in_a_row_count(breaker):
    fail(breaker, 2)
    breaker.record("")
    fail(breaker, 2)
    assert breaker.refusal() == ""


def test_a_minute_later_one_attempt_decides(breaker, clock):
    fail(breaker, 3)
    clock.now += 59.9
    assert breaker.refusal()
    clock.now += 0.1
    assert breaker.refusal() == ""
    fail(breaker, 1)
    assert breaker.refusal().startswith("notifications failed 4 times")
    clock.now += 60
    breaker.record("")
    fail(breaker, 2)
    assert breaker.refusal() == ""
