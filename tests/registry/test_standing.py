"""Who counts as alive, dead or stale."""

from __future__ import annotations

import pytest

from sentinel.core.facts import ProcessId, Unknown
from sentinel.registry.entries import Entry, Place, Status
from sentinel.registry.standing import Clocks, Standing, silence, standing

HERE = Place("box", "boot-2", 7)
CONTAINER = Place("box", "boot-2", 8)
BEFORE = Place("box", "boot-1", 7)
ELSEWHERE = Place("other", "boot-9", 7)
NOW = Clocks(wall=10_000.0, monotonic=1_000.0, slept=0.0)
NOBODY = Unknown("whether it lives", "a test says so")


def entry(place=HERE, status=Status.ACTIVE, heartbeat=10_000.0, beat=1_000.0):
    root = ProcessId(100, 1000)
    return Entry("s1", 1, "k", "s1", "", {}, place, root, status, 5_000.0, heartbeat, beat)


def told(one, *, root_ended=False, now=NOW, stale_after=60.0):
    return standing(one, HERE, now, root_ended=root_ended, stale_after=stale_after)


def test_of_a_local_session_only_the_kernels_word_counts():
    silent, young = entry(heartbeat=0.0, beat=0.0), entry()
    assert told(silent) is Standing.ALIVE
    assert told(young, root_ended=True) is Standing.DEAD


def test_where_the_kernel_does_not_tell_the_heartbeat_has_to_do():
    assert told(entry(), root_ended=NOBODY) is Standing.BEATING
    assert told(entry(beat=900.0), root_ended=NOBODY) is Standing.STALE


def test_another_boot_of_this_machine_is_over():
    assert told(entry(BEFORE)) is Standing.DEAD


@pytest.mark.parametrize("place", [CONTAINER, ELSEWHERE])
def test_mercy_out_of_sight_nothing_is_dead_whatever_has_its_number_here(place):
    assert told(entry(place), root_ended=True) is Standing.BEATING


@pytest.mark.parametrize("place", [CONTAINER, ELSEWHERE])
@pytest.mark.parametrize(("ago", "expected"), [(90, Standing.STALE), (30, Standing.BEATING), (60, Standing.BEATING)])
def test_out_of_sight_the_threshold_decides(place, ago, expected):
    assert told(entry(place, heartbeat=10_000.0 - ago, beat=1_000.0 - ago)) is expected


def test_an_ended_session_is_ended():
    assert told(entry(status=Status.ENDED), root_ended=True) is Standing.ENDED


def test_in_a_container_the_monotonic_clock_counts_which_stands_still_in_a_sleep():
    asleep = Clocks(wall=10_000.0 + 8 * 3600, monotonic=1_010.0, slept=8 * 3600.0)
    assert silence(entry(CONTAINER), HERE, asleep) == 10.0
    assert told(entry(CONTAINER), now=asleep) is Standing.BEATING


def test_a_thousand_nights_make_nobody_stale():
    now = NOW
    for night in range(1, 1001):
        now = Clocks(NOW.wall + night * 28_800, NOW.monotonic, night * 28_800.0)
        for place in (CONTAINER, ELSEWHERE):
            assert told(entry(place), now=now) is Standing.BEATING
    silent = Clocks(now.wall + 61, now.monotonic + 61, now.slept)
    assert {told(entry(place), now=silent) for place in (CONTAINER, ELSEWHERE)} == {Standing.STALE}


@pytest.mark.parametrize("step", [-10 * 365 * 86400, -1.0])
def test_a_clock_that_was_set_back_makes_nobody_old(step):
    assert silence(entry(ELSEWHERE), HERE, Clocks(NOW.wall + step, 1_000.0, 0.0)) == 0.0


def test_a_clock_that_was_set_makes_no_difference_on_this_kernel():
    years = Clocks(NOW.wall + 10 * 365 * 86400, 1_030.0, 0.0)
    assert told(entry(CONTAINER), now=years) is Standing.BEATING
