"""What tells of a sleep. Here no machine can be sent to sleep: the hours come from a stand-in, the timer is real."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from pathlib import Path

import pytest

from sentinel.bus import Bus
from sentinel.core.events import ProcessForked, SessionDied, Woke
from sentinel.core.facts import Death, ProcessId
from sentinel.core.sessions import Kind, Session
from sentinel.sources.clock import Clock

BIRTH = ProcessForked(7, 8, 1.0)
DEATH = SessionDied(Session(Kind.RUN, "api", ProcessId(7, 7)), Death(1.0))


class Hours:
    """How long the machine has slept, as the test says, and what was told of it."""

    def __init__(self):
        self.asleep = 100.0
        self.told = []
        self.bus = Bus(lambda event, cause: self.told.append(event) or cause)
        self.clock = Clock(self.bus, lambda: self.bus.publish(BIRTH), lambda: self.asleep)

    @property
    def woke(self):
        return [event.slept for event in self.told if isinstance(event, Woke)]


@pytest.fixture
def hours():
    return Hours()


def test_a_sleep_is_told_once_with_its_length(hours):
    hours.asleep += 3600
    hours.clock.check()
    hours.clock.check()
    assert hours.woke == [3600.0]


def test_what_the_kernel_has_told_is_told_before(hours):
    hours.asleep += 60
    heard = []
    for kind in (Woke, ProcessForked):
        hours.bus.subscribe(kind, heard.append)
    hours.clock.check()
    assert heard == [BIRTH, Woke(60.0)]


def test_a_moment_is_no_sleep_and_moments_do_not_add_up(hours):
    for _ in range(10):
        hours.asleep += 4.9
        hours.clock.check()
    assert hours.woke == []


def test_a_death_asks_where_nothing_else_told(hours):
    hours.asleep += 60
    hours.bus.publish(DEATH)
    assert hours.woke == [60.0]


@pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
def test_the_kernels_word_is_answered_and_the_timer_armed_again(hours):
    async def scenario():
        with hours.clock.heard_on(asyncio.get_running_loop()):
            timer = hours.clock._fd
            assert "settime flags: 03" in fdinfo(timer)  # absolute, and cancelled when the clock is set
            await asyncio.sleep(0.05)
            assert hours.woke == []  # an idle timer wakes nobody
            hours.asleep += 60
            ctypes.CDLL(None).timerfd_settime(timer, 0, bytes(32), None)  # nobody here may set the machine's clock
            assert "it_value: (0, 0)" in fdinfo(timer)
            hours.clock._cancelled()
            assert hours.woke == [60.0]
            assert "it_value: (0, 0)" not in fdinfo(timer)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(timer)

    asyncio.run(asyncio.wait_for(scenario(), 20))


def fdinfo(fd):
    return Path(f"/proc/self/fdinfo/{fd}").read_text()
