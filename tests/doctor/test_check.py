"""Checks run side by side, and none holds up the others."""

from __future__ import annotations

import threading
import time

import pytest

from sentinel.doctor.check import Check, CouldNotCheck, Status, Trouble, examine
from sentinel.doctor.checks import CHECKS

FIRST = Trouble("first")


def well(_):
    return ()


def found(_):
    yield FIRST


def half(_):
    yield FIRST
    raise CouldNotCheck("the rest did not answer")


def broken(_):
    raise ZeroDivisionError("nobody thought of this")


@pytest.mark.parametrize(
    ("run", "status", "troubles", "why"),
    [
        (well, Status.WELL, (), ""),
        (found, Status.FOUND, (FIRST,), ""),
        (half, Status.UNKNOWN, (FIRST,), "the rest did not answer"),
        (broken, Status.UNKNOWN, (), "ZeroDivisionError: nobody thought of this"),
    ],
)
def test_what_comes_of_a_check(run, status, troubles, why):
    (report,) = examine(None, [Check("x", "X", "x", run)])
    assert (report.status, report.troubles, report.why) == (status, troubles, why)


def test_one_that_hangs_is_given_up_and_the_others_answer():
    release = threading.Event()

    def hang(_):
        release.wait(30)
        return ()

    checks = [Check("a", "X", "a", hang), Check("b", "X", "b", found), Check("c", "X", "c", hang)]
    began = time.monotonic()
    reports = examine(None, checks, 0.2)
    assert time.monotonic() - began < 10  # a bound against hanging: 30 s, and twice
    release.set()
    assert [report.status for report in reports] == [Status.UNKNOWN, Status.FOUND, Status.UNKNOWN]
    assert reports[0].why == "no answer within 0.2 s"


def test_what_a_check_is_asked_is_the_patient():
    seen = []
    examine("patient", [Check("x", "X", "x", lambda patient: seen.append(patient) or ())])
    assert seen == ["patient"]


def test_each_check_has_a_name_of_its_own_and_categories_stay_together():
    names = [check.id for check in CHECKS]
    assert len(names) == len(set(names))
    categories = [check.category for check in CHECKS]
    assert categories == sorted(categories, key=categories.index)
