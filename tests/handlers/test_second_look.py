"""The judgement right before a signal. That it spares is tried in test_cleanup.py."""

from __future__ import annotations

import os
import sys

import pytest

from sentinel.core.facts import ProcessId
from sentinel.core.verdicts import Condemned, Spared
from sentinel.handlers.halting import Halting
from sentinel.handlers.restraint import Restraint
from sentinel.handlers.second_look import SecondLook, at_what_is_left, untold
from tests.handlers.room import killed

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


def test_one_look_serves_all_who_are_asked_about_at_one_moment(room, monkeypatch):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    children = [agent.do("bear()") for _ in range(3)]
    for child in children:
        room.forked(agent.pid, child)
    record = room.ledger.record(session.key)
    members = [room.ledger.member(child).id for child in children]
    agent.end()
    room.ledger.exited(agent.pid, killed())
    look, looks = room.examiner.left_by, []
    monkeypatch.setattr(room.examiner, "left_by", lambda of: (looks.append(of), look(of))[1])
    restraint = Restraint(room.bus, room.ledger, room.wishes, room.switches, os.getuid())
    caught_up = []
    again = at_what_is_left(record, room.examiner, restraint, lambda: caught_up.append(len(looks)))
    assert [type(again(who)) for who in members] == [Condemned] * 3
    assert looks == [record]
    assert caught_up == [0]  # once, before it looked
    Halting(room.bus, room.switches).pause(None)
    assert isinstance(again(members[0]), Spared)


def test_mercy_whom_a_look_does_not_show_is_not_taken_for_dead():
    verdict = SecondLook(lambda: "", list, untold)(ProcessId(4242, 7))
    assert (type(verdict), verdict.guard) == (Spared, "unknown")
