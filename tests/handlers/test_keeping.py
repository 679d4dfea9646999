"""Who is kept: in the ledger, in the list, and over deaths and restarts."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from sentinel.core.events import KeepSaid, ProcessExited
from sentinel.core.facts import ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.switches import Keep
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.handlers.halting import Halting
from sentinel.handlers.keeping import Keeping
from sentinel.observe import processes
from sentinel.switches import SwitchBoard
from tests.handlers.room import dead, killed, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def keeping(room):
    room.keep_books()
    return Keeping(room.bus, room.ledger, room.switches, room.us.uid)


def born(room, parent):
    """A watched process's child, itself a puppet's."""
    return room.forked(parent.pid, parent.do("bear()"))


def kept(room, *pids):
    return [room.ledger.member(pid).kept for pid in pids]


def ends(room, puppet):
    puppet.end()
    room.bus.publish(ProcessExited(puppet.pid, killed()))


def listed(room):
    """What a later agent would find."""
    return {keep.id.pid for keep in SwitchBoard(room.where.switches, room.switches._boot).now().kept}


def test_a_process_is_kept_with_what_it_bears_before_and_after_and_nobody_else(room, keeping):
    agent = room.start()
    room.open(agent.pid)
    child, other = agent.bear_through(between="time.sleep(60)")
    room.forked(agent.pid, child)
    room.forked(child, other)
    sibling = born(room, agent)
    (told,) = keeping.keep(str(child))["kept"]
    assert (told["pid"], told["session"]) == (child, "")
    assert kept(room, agent.pid, sibling, child, other) == [False, False, True, True]
    late = room.ledger.enter(ProcessId(99999, 1), child, 0.0)
    assert late.kept
    assert room.told(KeepSaid)[0].kept


def test_a_session_is_kept_with_the_sessions_in_it_and_what_its_dead_bore(room, keeping):
    agent = room.start()
    session = room.open(agent.pid)
    between, orphan = agent.bear_through(between="time.sleep(60)")
    room.forked(agent.pid, between)
    room.forked(between, orphan)
    os.kill(between, signal.SIGKILL)
    until(lambda: dead(between))
    room.bus.publish(ProcessExited(between, killed()))
    inner = agent.do("bear()")
    room.forked(agent.pid, inner)
    inner_session = room.open(inner, name="inner")
    assert keeping.keep(session.id)["kept"][0]["pid"] == agent.pid
    assert kept(room, agent.pid, orphan, inner) == [True, True, True]
    assert room.ledger.record(inner_session.key).members[inner].kept
    keeping.release("claude")
    assert kept(room, agent.pid, orphan, inner) == [False, False, False]
    assert listed(room) == set()


def test_one_whose_name_is_no_text_is_kept_and_the_list_can_be_written_after(room, keeping):
    agent = room.start()
    room.open(agent.pid)
    agent.do(r"[__import__('ctypes').CDLL(None).prctl(15, b'caf\xe9', 0, 0, 0), 1][1]")
    assert processes.comm(agent.pid) == "caf\udce9"
    keeping.keep(str(agent.pid))
    Halting(room.bus, room.switches).pause(None)
    assert room.switches.trouble == ""
    assert listed(room) == {agent.pid}
    assert SwitchBoard(room.where.switches, room.switches._boot).held() == "a person has paused Sentinel"


def test_when_it_ends_its_children_are_kept_each_for_itself(room, keeping):
    agent = room.start()
    room.open(agent.pid)
    child = born(room, agent)
    keeping.keep(str(agent.pid))
    assert listed(room) == {agent.pid}
    ends(room, agent)
    assert listed(room) == {child}
    assert kept(room, child) == [True]


def test_a_kept_session_that_died_is_released_by_its_name(room, keeping):
    agent = room.start()
    session = room.open(agent.pid)
    child = born(room, agent)
    keeping.keep("claude")
    ends(room, agent)
    assert child in listed(room)
    keeping.release(session.id)
    assert (listed(room), kept(room, child)) == (set(), [False])


def test_one_that_is_not_watched_yet_is_kept_when_it_is(room, keeping):
    puppet = room.start()
    keeping.keep(str(puppet.pid))
    room.open(puppet.pid)
    assert kept(room, puppet.pid, born(room, puppet)) == [True, True]


def test_the_next_agent_keeps_what_the_last_one_was_told_to(room, keeping):
    agent = room.start()
    room.open(agent.pid)
    child = born(room, agent)
    keeping.keep(str(child))
    ledger = Ledger()
    session = room.ledger.rooted_at(agent.pid)
    Keeping(room.bus, ledger, SwitchBoard(room.where.switches, room.switches._boot), room.us.uid)
    ledger.open(session, 0.0)
    assert not ledger.member(agent.pid).kept
    assert ledger.enter(room.ledger.member(child).id, agent.pid, 0.0).kept


def test_who_has_the_number_of_a_kept_one_is_not_kept(room, keeping):
    agent = room.start()
    room.switches.change(lambda now: now.keeping([Keep(ProcessId(agent.pid, agent.who.start - 1))]))
    room.open(agent.pid)
    keeping.refresh()
    assert kept(room, agent.pid) == [False]
    assert listed(room) == set()


def test_a_word_that_nobody_told_the_agent_counts_before_the_next_judgement(room, keeping):
    agent = room.start()
    session = room.open(agent.pid)
    child = born(room, agent)
    who = room.ledger.member(child).id
    SwitchBoard(room.where.switches, room.switches._boot).change(lambda now: now.keeping([Keep(who)]))
    room.policy = room.wishes()
    ends(room, agent)  # publishes the death
    assert room.ledger.record(session.key).members[child].kept


def test_what_a_wider_wish_holds_stays_kept(room, keeping):
    agent = room.start()
    room.open(agent.pid)
    child = born(room, agent)
    keeping.keep(str(child))
    keeping.keep("claude")
    keeping.release(str(child))
    assert kept(room, agent.pid, child) == [True, True]
    keeping.release("claude")
    assert kept(room, agent.pid, child) == [False, False]
    assert not room.told(KeepSaid)[-1].kept


def test_what_was_never_kept_cannot_be_released(room, keeping):
    agent = room.start()
    room.open(agent.pid)
    for what in (str(agent.pid), "claude", "nobody"):
        with pytest.raises(NoSuchThing, match=f"{what} is not on the list"):
            keeping.release(what)


def test_what_is_not_there_cannot_be_kept(room, keeping):
    for what in ("4194399", "nobody", "²"):
        with pytest.raises(NoSuchThing):
            keeping.keep(what)
    assert not room.where.switches.exists()


def test_another_users_process_needs_no_keeping(room):
    theirs = Keeping(room.bus, room.ledger, room.switches, os.getuid() + 1)
    with pytest.raises(SentinelError, match="another user"):
        theirs.keep(str(os.getpid()))
