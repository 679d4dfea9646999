"""What the next agent may believe of what the one before has left."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from sentinel.core.facts import Death, Departure, ProcessId, Unknown
from sentinel.core.ledger import Ledger, Witness
from sentinel.core.sessions import Kind, Session
from sentinel.core.snapshot import contradiction, restore, take
from sentinel.core.verdicts import Spared

AT = 50.0
"""Monotonic seconds of the start of the next agent."""


def who(pid):
    return ProcessId(pid, pid * 10)


def root(pid, kind=Kind.AGENT, **fields):
    return Session(kind, f"s{pid}", who(pid), **fields)


def family():
    """An Overmind's ledger: 100 bore 11, that bore 2, that bore 3; 11 also bore the agent 200, that bore 4."""
    ledger = Ledger()
    ledger.open(root(100, Kind.OVERMIND), 0.0)
    for parent, child in (100, 11), (11, 2), (2, 3), (11, 200), (200, 4):
        ledger.enter(who(child), parent, 1.0)
    ledger.open(root(200, outer=root(100).key), 2.0)
    ledger.manages(ledger.member(2))
    ledger.ran_nohup(3)
    ledger.keep(ledger.member(4))
    ledger.executed(11)
    return ledger


def restart(before, *gone, unknown=()):
    """The next agent's ledger, when these pids have ended meanwhile."""

    def living(id_):
        return Unknown("whether", "it said so") if id_.pid in unknown else id_.pid not in gone

    after = Ledger()
    restore(after, copy.deepcopy(take(before)), living, AT)
    return after


def owners(ledger):
    return {pid: member.owner for record in ledger.sessions() for pid, member in record.members.items()}


def test_what_goes_on_is_as_it_was():
    before = family()
    after = restart(before)
    assert owners(after) == owners(before)
    assert len(after) == len(before)
    assert after.manager_servers == before.manager_servers == {who(2): root(100).key}
    assert after.rooted_at(100) == root(100, Kind.OVERMIND)
    assert after.rooted_at(200) == before.rooted_at(200)
    for pid in owners(before):
        told, left = before.member(pid), after.member(pid)
        assert replace(left, executed=None) == replace(told, executed=None)


def test_what_was_not_told_while_nobody_listened_is_not_known():
    after = restart(family())
    assert after.member(11).executed is True
    assert after.member(3).executed is None


def test_the_book_is_kept_as_before():
    ledger = restart(family())
    assert ledger.enter(who(5), 3, 60.0).owner == root(100).key
    assert ledger.enter(who(6), 4, 60.0).kept
    assert ledger.exited(11, Death(61.0, 0)) is None
    assert ledger.member(2).left == Departure(61.0, clean=True, forked_only=False)
    assert ledger.exited(100, Death(62.0, 9)) == root(100, Kind.OVERMIND)


def test_the_children_of_one_that_ended_meanwhile_have_left_it_in_a_way_that_nobody_saw():
    ledger = restart(family(), 2)
    assert 2 not in ledger
    assert ledger.manager_servers == {}
    assert ledger.member(3).left == Departure(AT, clean=None, forked_only=None)
    assert ledger.member(11).left is None
    assert ledger.member(11).children == {200}


def test_one_that_had_left_before_is_left_as_it_was():
    before = family()
    before.exited(2, Death(7.0, 9))
    assert restart(before, 11).member(3).left.at == 7.0


def test_an_inner_session_that_lost_who_bore_it_goes_on():
    ledger = restart(family(), 11)
    assert ledger.record(root(200).key).death is None
    assert {pid: owner for pid, owner in owners(ledger).items() if owner == root(200).key}.keys() == {200, 4}


def test_a_session_whose_root_ended_meanwhile_is_dead_as_of_now_and_owns_what_it_owned():
    ledger = restart(family(), 100)
    record = ledger.record(root(100).key)
    assert record.death == Death(AT)
    assert not record.settled
    assert {member.id.pid for member in ledger.members(root(100).key)} == {11, 2, 3}
    # What was still its child when it died is no daemon.
    assert [ledger.member(pid).left for pid in (11, 2, 3)] == [None] * 3


def test_one_that_ended_together_with_the_root_may_have_ended_before_it():
    assert restart(family(), 100, 2).member(3).left == Departure(AT, clean=None, forked_only=None)


def test_a_session_that_was_dead_stays_as_dead_as_it_was():
    before = family()
    before.exited(100, Death(9.0, 9))
    before.settle(before.record(root(100).key))
    ledger = restart(before, 100, 2)
    record = ledger.record(root(100).key)
    assert (record.death, record.settled) == (Death(9.0, 9), True)
    assert record.members.keys() == {11, 3}
    assert ledger.member(3).left is None  # it lost its parent after the death


def test_what_one_had_borne_that_was_spared_and_ended_meanwhile_is_its_heir():
    before = family()
    before.exited(100, Death(40.0, 9))
    assert restart(before, 2).member(3).heir_of == ""
    before.judged([Spared(who(2), "daemonised", "it is")])
    assert restart(before, 2).member(3).heir_of == "daemonised"
    assert restart(before).member(3).heir_of == ""
    before.exited(2, Death(41.0))
    assert restart(before).member(3).heir_of == "daemonised"


def test_a_session_of_which_nobody_can_tell_whether_it_lives_is_nobodys():
    ledger = restart(family(), unknown=(100,))
    assert owners(ledger) == {200: root(200).key, 4: root(200).key}


def test_a_process_of_which_nobody_can_tell_who_it_is_is_nobodys_and_what_it_bore_is_in_doubt():
    ledger = restart(family(), unknown=(2,))
    assert 2 not in ledger
    assert ledger.member(3).unread == who(3)
    assert ledger.member(11).unread is None


def test_the_number_of_a_dead_root_is_the_living_ones():
    before = family()
    before.exited(100, Death(9.0, 9))
    again = replace(root(200), root=ProcessId(100, 5000))
    before.open(again, 10.0)
    for order in (1, -1):
        ledger = Ledger()
        restore(ledger, copy.deepcopy(take(before))[::order], lambda _: True, AT)
        assert ledger.rooted_at(100) == again


def test_what_a_ledger_held_does_not_contradict_itself():
    before = family()
    assert contradiction(take(before)) == ""
    before.exited(100, Death(9.0, 9))
    assert contradiction(take(before)) == ""


def one(change):
    """A snapshot of which the first session was changed."""
    first, *others = copy.deepcopy(take(family()))
    return (change(first), *others)


def with_member(**fields):
    return one(lambda saved: replace(saved, members=(*saved.members[:-1], replace(saved.members[-1], **fields))))


@pytest.mark.parametrize(
    ("saved", "why"),
    [
        (with_member(id=ProcessId(4, 40)), "process 4 is there twice"),
        (with_member(id=ProcessId(1, 7)), "process 1@7 cannot be"),
        (with_member(id=ProcessId(3, -1)), "process 3@-1 cannot be"),
        (with_member(owner="another@1"), "cannot be of session"),
        (one(lambda saved: replace(saved, death=Death(1.0))), "neither alive nor dead"),
        (one(lambda saved: replace(saved, members=saved.members[1:])), "neither alive nor dead"),
        (take(family())[:1] * 2, "is there twice"),
    ],
)
def test_what_no_ledger_can_have_held_is_not_believed(saved, why):
    assert why in contradiction(saved)


def test_every_change_that_a_snapshot_holds_is_told():
    told = []
    ledger = family()
    ledger.on_change = lambda: told.append(1)
    member = ledger.member(3)
    changes = [
        lambda: ledger.enter(who(7), 3, 5.0, Witness.LOOK),
        lambda: ledger.executed(3),
        lambda: ledger.ran_nohup(3),
        lambda: ledger.keep(member),
        lambda: ledger.manages(member),
        lambda: ledger.amend(root(200, directory="/")),
        lambda: ledger.open(root(2), 6.0),
        lambda: ledger.exited(7, Death(7.0)),
        lambda: ledger.exited(200, Death(8.0, 0)),
        lambda: ledger.succeed(root(200).key, who(4)),
        lambda: ledger.settle(ledger.record(root(100).key)),
        lambda: ledger.close(root(2).key),
    ]
    for number, change in enumerate(changes):
        told.clear()
        change()
        assert told, f"change {number}"
    told.clear()
    ledger.executed(11)
    ledger.enter(who(3), 2, 9.0)
    assert not told  # both were known


def test_a_dead_session_is_told_twice_also_when_nobody_of_it_is_left():
    dead = replace(take(family())[0], death=Death(1.0), members=())
    assert "is there twice" in contradiction((dead, dead))


def test_one_that_had_ended_before_it_could_be_looked_at_may_be_in_a_ledger():
    assert contradiction(with_member(id=ProcessId(9, 0))) == ""


def test_a_dead_session_goes_back_also_when_nobody_can_tell_of_its_number():
    before = family()
    before.exited(100, Death(9.0, 9))
    ledger = restart(before, unknown=(100,))
    assert ledger.record(root(100).key).death == Death(9.0, 9)


def test_how_one_had_left_is_not_forgotten_when_its_parent_is_found_to_have_ended():
    before = family()
    before.member(3).left = Departure(5.0, clean=True)
    assert restart(before, 2).member(3).left == Departure(5.0, clean=True)


def test_a_child_that_another_has_borne_since_is_the_other_ones():
    before = family()
    before.member(3).parent = 11
    assert restart(before).member(2).children == set()


def test_what_was_put_back_is_returned():
    ledger = Ledger()
    assert restore(ledger, copy.deepcopy(take(family())), lambda _: True, AT) == list(ledger.sessions())


def test_what_goes_back_into_the_book_is_told():
    record, told, ledger = family().record(root(200).key), [], Ledger()
    ledger.on_change = lambda: told.append(1)
    ledger.reinstate(record)
    assert told
