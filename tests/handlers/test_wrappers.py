"""Marks of `sentinel run`, and whom they are believed of."""

from __future__ import annotations

import sys

import pytest

from sentinel import runs
from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.handlers.wrappers import command_of, was_left_by
from sentinel.observe import processes
from tests.handlers.room import leave_mark

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def wrapper(room):
    return room.start()


@pytest.mark.parametrize("command", [0, 4711])
def test_a_wrapper_says_by_its_mark_which_command_it_runs(room, wrapper, command):
    leave_mark(room, wrapper, command=command)
    assert command_of(room.where.runtime, wrapper.pid) == command


def test_who_has_left_no_mark_is_no_wrapper(room, wrapper):
    leave_mark(room, room.start(), command=4711)
    assert command_of(room.where.runtime, wrapper.pid) is None


@pytest.mark.parametrize("other", [{"start": 1}, {"boot": "another"}])
def test_a_mark_of_who_had_the_number_before_says_nothing(room, wrapper, other):
    leave_mark(room, wrapper, command=4711, **other)
    assert command_of(room.where.runtime, wrapper.pid) is None


def test_nobody_who_is_gone_has_left_a_mark():
    mark = runs.Mark(processes.boot_id(), 7, 8, "make", "/srv")
    assert was_left_by(mark, ProcessId(7, 8))
    assert not was_left_by(mark, Gone())


def test_where_nobody_can_tell_whether_it_is_one_it_may_be(room, wrapper, monkeypatch):
    leave_mark(room, wrapper, command=4711)
    monkeypatch.setattr(processes, "identify", lambda pid: Unknown("who it is", "a test says so"))
    assert command_of(room.where.runtime, wrapper.pid) == 0


def test_one_whose_mark_cannot_be_read_may_be_one(room, wrapper):
    leave_mark(room, wrapper, command=4711)
    (mark,) = (room.where.runtime / "runs").iterdir()
    mark.write_text("{")
    assert command_of(room.where.runtime, wrapper.pid) == 0
