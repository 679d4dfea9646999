from __future__ import annotations

from sentinel.core.facts import Death, Departure, ProcessId
from sentinel.core.ledger import Ledger, Witness
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Absent, Condemned, Spared

KILLED, ENDED, FAILED = 9, 0, 1 << 8


def root(pid, kind=Kind.RUN, **fields):
    return Session(kind, f"s{pid}", ProcessId(pid, pid * 10), **fields)


def who(pid):
    return ProcessId(pid, pid * 10)


def family(*births, session=None):
    """A ledger with a session rooted at 100, and births told as (parent, child)."""
    ledger = Ledger()
    ledger.open(session or root(100), 0.0)
    for parent, child in births:
        ledger.enter(who(child), parent, 1.0)
    return ledger


def owned(ledger, pid=100):
    return sorted(m.id.pid for m in ledger.members(root(pid).key))


def test_descendants_belong_to_the_session():
    ledger = family((100, 1), (1, 2), (2, 3))
    assert owned(ledger) == [1, 2, 3]
    assert 3 in ledger
    assert 4 not in ledger
    assert ledger.member(3).parent == 2


def test_nobody_says_who_bore_a_root_that_was_found():
    assert family().member(100).parent == 0
    assert family().members("nobody@1") == []


def test_what_a_stranger_bore_is_nobodys():
    ledger = family()
    assert ledger.enter(who(5), 4, 1.0) is None
    assert 5 not in ledger


def test_a_new_root_shadows_the_outer_session():
    ledger = family((100, 1), (1, 200))
    record = ledger.open(root(200), 2.0)
    assert record is ledger.record(root(200).key)
    ledger.enter(who(201), 200, 3.0)
    assert owned(ledger) == [1]
    assert owned(ledger, 200) == [201]
    assert ledger.rooted_at(200) == root(200)


def test_what_a_root_had_borne_before_goes_over_to_it_but_not_what_is_inside():
    ledger = family((100, 200), (200, 1), (200, 300), (300, 2))
    ledger.open(root(300), 2.0)
    ledger.open(root(200), 3.0)
    assert owned(ledger) == []
    assert owned(ledger, 200) == [1]
    assert owned(ledger, 300) == [2]


def test_what_goes_over_may_have_the_number_of_a_dead_root():
    ledger = family((100, 1), (1, 200), (200, 300), (300, 2))
    ledger.open(root(300), 1.0)
    ledger.exited(300, Death(2.0, KILLED))
    ledger.enter(ProcessId(300, 7777), 200, 3.0)
    ledger.open(root(200), 4.0)
    assert owned(ledger, 200) == [300]
    assert owned(ledger, 300) == [2]


def test_opening_twice_changes_nothing():
    ledger = family((100, 1))
    record = ledger.record(root(100).key)
    assert ledger.open(root(100), 9.0) is record
    assert owned(ledger) == [1]


def test_a_root_whose_number_another_had_is_its_own():
    ledger = family((100, 200))
    later = Session(Kind.RUN, "later", ProcessId(200, 9999))
    ledger.open(later, 5.0)
    assert owned(ledger) == []
    assert ledger.member(200).id == later.root
    assert ledger.member(200).owner == later.key


def test_a_number_that_comes_again_is_another_process():
    ledger = family((100, 1), (1, 2))
    again = ProcessId(1, 777)
    member = ledger.enter(again, 100, 4.0)
    assert member.id == again
    assert ledger.member(1) is member
    assert member.children == set()
    assert ledger.enter(again, 100, 5.0) is member


def test_a_number_that_comes_again_elsewhere_is_off_the_first_ones_books():
    ledger = family((100, 1), (1, 2), (2, 3))
    ledger.open(root(200), 1.0)
    ledger.enter(ProcessId(2, 777), 200, 4.0)
    assert owned(ledger) == [1, 3]
    assert owned(ledger, 200) == [2]
    assert ledger.member(1).children == set()
    ledger.exited(2, Death(5.0, ENDED))
    assert ledger.member(3).left is None


def test_the_death_of_the_root_is_told_and_what_is_left_stays():
    ledger = family((100, 1), (1, 2))
    assert ledger.exited(1, Death(5.0, ENDED)) is None
    session = ledger.exited(100, Death(6.0, KILLED))
    assert session == root(100)
    record = ledger.record(session.key)
    assert record.death == Death(6.0, KILLED)
    assert owned(ledger) == [2]
    assert ledger.rooted_at(100) == session
    ledger.close(session.key)
    assert len(ledger) == 0
    assert ledger.rooted_at(100) is None
    assert list(ledger.sessions()) == []


def test_closing_a_session_leaves_the_next_one_at_its_number():
    ledger = family((100, 1))
    ledger.exited(100, Death(5.0, KILLED))
    later = Session(Kind.RUN, "later", ProcessId(100, 9999))
    ledger.open(later, 6.0)
    ledger.close(root(100).key)
    assert ledger.rooted_at(100) == later
    assert owned(ledger) == []
    assert 1 not in ledger


def test_what_closed_sessions_were_called_is_remembered_by_those_inside_of_them():
    ledger = family()
    desk = ledger.open(root(200, outer=root(100).key, registered=("desk-1",)), 0.0).session
    agent = ledger.open(root(300, outer=desk.key), 0.0)
    for session in (root(100), desk):
        ledger.exited(session.root.pid, Death(5.0, KILLED))
        ledger.close(session.key)
    assert (agent.session.outer, agent.session.forgotten) == ("", ("s200", "desk-1", "s100"))


def test_the_end_of_a_stranger_says_nothing():
    assert family().exited(7, Death(1.0)) is None


def test_who_loses_its_parent_while_the_session_lives_has_left():
    ledger = family((100, 1), (1, 2), (100, 3), (3, 4))
    ledger.exited(1, Death(5.0, ENDED))
    assert ledger.member(2).left == (5.0, True, True)
    ledger.exited(3, Death(6.0, FAILED))
    assert ledger.member(4).left == (6.0, True, True)  # a failing command is no signal
    ledger.enter(who(5), 2, 7.0)
    ledger.enter(who(6), 5, 7.0)
    ledger.exited(5, Death(8.0))
    assert ledger.member(6).left == (8.0, None, True)


def test_who_had_left_before_leaves_no_second_time():
    ledger = family((100, 1), (1, 2))
    ledger.member(2).left = Departure(3.0, None)
    ledger.exited(1, Death(5.0, ENDED))
    assert ledger.member(2).left == (3.0, None, None)


def test_a_parent_that_a_signal_ended_did_not_leave_by_itself():
    for status in (KILLED, 15, 129 << 8, 137 << 8, 143 << 8):
        ledger = family((100, 1), (1, 2))
        ledger.exited(1, Death(5.0, status))
        assert ledger.member(2).left.clean is False


def test_who_loses_its_parent_after_the_session_has_not():
    ledger = family((100, 1), (1, 2))
    ledger.exited(100, Death(5.0, KILLED))
    assert ledger.member(1).left is None
    ledger.exited(1, Death(5.1, KILLED))
    assert ledger.member(2).left is None


def test_what_a_foundling_bears_is_one_until_a_session_of_its_own_is_known():
    ledger = family((100, 1))
    found = ledger.enter(who(2), 100, 1.0, Witness.LOOK)
    found.left, found.foundling = Departure(1.0, None), True
    ledger.enter(who(3), 2, 2.0)
    ledger.enter(who(4), 3, 2.0, Witness.LOOK)
    ledger.claim(who(5), root(100).key, 2.0, Departure(2.0, None))
    assert [pid for pid in (1, 2, 3, 4, 5) if ledger.member(pid).foundling] == [2, 3, 4, 5]
    ledger.open(root(3), 3.0)
    assert [pid for pid in (1, 2, 3, 4, 5) if ledger.member(pid).foundling] == [2, 5]
    ledger.enter(who(2), 100, 4.0)  # the word on its birth
    assert not ledger.member(2).foundling


def test_what_a_double_fork_leaves_that_is_under_way_at_the_death_has_left_like_its_middle():
    ledger = family((100, 1), (1, 2), (2, 3))
    ledger.exited(1, Death(4.9, ENDED))
    ledger.exited(100, Death(5.0, ENDED))
    ledger.exited(2, Death(5.1, ENDED))
    assert ledger.member(3).left == Departure(5.1, clean=True, forked_only=True)


def test_what_was_killed_or_was_to_be_ended_or_had_not_left_is_no_such_middle():
    def left(status=ENDED, *, judged=None, parent=1):
        ledger = family((100, 1), (parent, 2), (2, 3))
        ledger.exited(1, Death(4.9, ENDED))
        ledger.exited(100, Death(5.0, ENDED))
        ledger.judged([judged] if judged else [])
        ledger.exited(2, Death(5.1, status))
        return ledger.member(3).left

    assert left() is not None
    assert left(judged=Absent(who(2))) is not None
    assert left(KILLED) is None
    assert left(parent=100) is None
    assert left(judged=Condemned(who(2), None, ())) is None


def test_the_root_of_a_session_is_no_such_middle():
    ledger = family((100, 1), (1, 2), (2, 3))
    ledger.exited(1, Death(4.9, ENDED))
    ledger.open(root(2), 5.0)
    ledger.exited(2, Death(6.0, ENDED))
    assert ledger.member(3).left is None


def test_what_one_bore_that_was_spared_is_its_heir_when_that_ends_also_through_another():
    ledger = family((100, 1), (1, 2), (100, 5))
    ledger.exited(100, Death(5.0, KILLED))
    ledger.judged([Spared(who(1), "nohup", "it is"), Spared(who(2), "sheltered", "it is"), Absent(who(99))])
    ledger.enter(who(3), 1, 6.0)  # judged by nobody yet
    ledger.enter(who(4), 3, 6.0)
    ledger.exited(3, Death(7.0, ENDED))
    ledger.exited(1, Death(8.0, ENDED))
    assert [ledger.member(pid).heir_of for pid in (2, 4, 5)] == ["nohup", "nohup", ""]


def test_what_one_bore_that_was_to_be_ended_is_nobodys_heir():
    ledger = family((100, 1), (1, 2), (100, 7))
    ledger.exited(100, Death(5.0, KILLED))
    ledger.judged([Spared(who(1), "unknown", "nobody looked"), Spared(ProcessId(7, 1), "kept", "another")])
    ledger.judged([Condemned(who(1), None, ())])
    ledger.exited(1, Death(6.0, KILLED))
    assert (ledger.member(2).heir_of, ledger.member(7).spared) == ("", None)


def test_a_session_that_was_begun_under_one_that_was_spared_owns_what_it_bears_like_any():
    ledger = family((100, 1), (1, 2), (2, 3))
    ledger.exited(100, Death(5.0, KILLED))
    ledger.judged([Spared(who(pid), "kept", "it is") for pid in (1, 2, 3)])
    ledger.exited(1, Death(6.0, ENDED))
    ledger.open(root(2), 7.0)
    assert [(ledger.member(pid).spared, ledger.member(pid).heir_of) for pid in (2, 3)] == [(None, "")] * 2


def test_a_parent_that_ended_before_the_session_did_counts_so_though_that_is_told_later():
    ledger = family((100, 1), (1, 2), (100, 3), (3, 4))
    ledger.exited(100, Death(5.0, KILLED))
    ledger.exited(1, Death(4.999, ENDED))
    ledger.exited(3, Death(5.0, ENDED))
    assert ledger.member(2).left.at == 4.999
    assert ledger.member(4).left is None


def test_only_a_parent_that_never_ran_a_program_is_the_middle_of_a_double_fork():
    ledger = family((100, 1), (1, 2), (100, 3), (3, 4))
    ledger.executed(1)
    ledger.executed(99)
    ledger.enter(ProcessId(8, 80), 100, 1.0, Witness.LOOK)
    ledger.enter(ProcessId(9, 90), 8, 1.0, Witness.LOOK)
    ledger.executed(8)
    for pid in (1, 3, 8):
        ledger.exited(pid, Death(5.0, ENDED))
    assert [ledger.member(pid).left.forked_only for pid in (2, 4, 9)] == [False, True, None]


def test_what_was_inside_of_a_session_that_is_forgotten_is_inside_of_what_was_around_it():
    ledger = family((100, 1), (1, 2))
    ledger.open(root(1, outer=root(100).key), 2.0)
    ledger.open(root(2, outer=root(1).key), 2.0)
    ledger.exited(1, Death(5.0, KILLED))
    ledger.close(root(1).key)
    assert ledger.record(root(2).key).session.outer == root(100).key


def test_the_word_on_a_birth_that_comes_after_the_look_says_what_is_told_from_then_on():
    ledger = family()
    for child in (8, 9):
        ledger.enter(who(child), 100, 1.0, Witness.LOOK)
        ledger.enter(who(child), 100 if child == 8 else 9, 1.0)
        ledger.executed(child)
    assert [(m.witness, m.executed) for m in map(ledger.member, (8, 9))] == [(Witness.FORK, True), (Witness.LOOK, None)]


def test_the_word_on_a_birth_says_that_it_fell_to_nobody():
    ledger = family()
    ledger.enter(who(8), 100, 1.0, Witness.LOOK).left = Departure(1.0, None)
    ledger.enter(who(8), 100, 1.0)
    assert ledger.member(8).left is None


def test_a_root_that_daemonised_goes_on_under_its_heir():
    ledger = family((100, 1), (1, 2))
    ledger.open(Session(Kind.AGENT, "inner", who(2), outer=root(100).key), 2.0)
    ledger.manages(ledger.member(1))
    ledger.exited(100, Death(5.0, ENDED))
    session = ledger.succeed(root(100).key, who(1))
    assert session.root == who(1)
    record = ledger.record(session.key)
    assert record.death is None
    assert ledger.record(root(100).key) is None
    assert ledger.rooted_at(1) == session
    assert ledger.rooted_at(100) is None
    assert ledger.member(1).owner == session.key
    assert ledger.manager_servers == {who(1): session.key}
    assert ledger.rooted_at(2).outer == session.key


def test_a_session_that_turns_out_to_be_another_keeps_all_that_it_owns():
    ledger = family((100, 1), session=root(100, Kind.PANE))
    agent = Session(Kind.AGENT, "claude", who(100))
    assert ledger.become(root(100).key, agent) == agent
    assert ledger.rooted_at(100) == agent
    assert ledger.member(1).owner == agent.key
    assert [record.session for record in ledger.sessions()] == [agent]


def test_what_the_old_root_bore_beside_its_heir_has_left():
    ledger = family((100, 1), (100, 2), (2, 3))
    ledger.exited(2, Death(4.0, FAILED))
    ledger.enter(who(4), 1, 4.5)
    ledger.enter(who(5), 100, 4.5)
    ledger.exited(100, Death(5.0, ENDED))
    ledger.succeed(root(100).key, who(1))
    assert ledger.member(3).left == (4.0, True, True)
    assert ledger.member(4).left is None
    assert ledger.member(5).left == (5.0, True, False)


def test_who_succeeds_a_living_root_takes_no_parent_from_anybody():
    ledger = family((100, 1), (100, 2))
    ledger.succeed(root(100).key, who(1))
    assert ledger.member(2).left is None


def test_a_member_that_got_the_number_of_its_dead_root_is_one_of_those_left():
    ledger = family((100, 1))
    ledger.exited(100, Death(5.0, KILLED))
    again = ledger.enter(ProcessId(100, 7777), 1, 6.0)
    assert ledger.members(root(100).key) == [ledger.member(1), again]


def test_a_root_that_daemonised_takes_nothing_of_its_neighbours():
    ledger = family((100, 1), (100, 2), session=root(100, Kind.OVERMIND))
    ledger.open(root(200, Kind.OVERMIND), 1.0)
    ledger.open(Session(Kind.AGENT, "a", who(300), outer=root(200).key), 1.0)
    ledger.manages(ledger.enter(who(3), 200, 1.0))
    ledger.manages(ledger.member(2))
    ledger.exited(100, Death(5.0, ENDED))
    session = ledger.succeed(root(100).key, who(1))
    assert ledger.manager_servers == {who(2): session.key, who(3): root(200).key}
    assert ledger.rooted_at(300).outer == root(200).key


def test_an_amended_session_is_the_same():
    ledger = family((100, 1))
    ledger.amend(root(100, directory="/srv"))
    assert ledger.record(root(100).key).session.directory == "/srv"
    assert owned(ledger) == [1]


def test_manager_servers_are_forgotten_with_their_end():
    ledger = family((100, 1))
    ledger.manages(ledger.member(1))
    assert ledger.member(1).manager_server
    ledger.exited(1, Death(2.0))
    assert ledger.manager_servers == {}


def test_a_hundred_thousand_forks_leave_nothing():
    ledger = family()
    for pid in range(1_000, 101_000):
        ledger.enter(who(pid), 100, 1.0)
        ledger.exited(pid, Death(2.0, ENDED))
    assert len(ledger) == 1
    assert ledger.member(100).children == set()
    assert owned(ledger) == []


def test_what_is_kept_is_kept_with_all_that_it_bears():
    ledger = family((100, 1), (1, 2), (100, 5))
    ledger.keep(ledger.member(1))
    ledger.enter(who(3), 2, 2.0)
    ledger.enter(who(6), 5, 2.0)
    assert {pid: ledger.member(pid).kept for pid in (1, 2, 3, 5, 6, 100)} == {
        1: True,
        2: True,
        3: True,
        5: False,
        6: False,
        100: False,
    }
    ledger.keep(ledger.member(1), kept=False)
    assert not any(ledger.member(pid).kept for pid in (1, 2, 3))


def test_what_is_doubted_is_doubted_with_all_that_it_bears_until_it_is_trusted():
    ledger = family((100, 1), (1, 2), (100, 5))
    ledger.doubt(ledger.member(1))
    ledger.enter(who(3), 2, 2.0)
    ledger.doubt(ledger.member(3))
    ledger.enter(who(4), 3, 2.0)
    assert {pid: ledger.member(pid).unread for pid in (1, 2, 3, 4)} == dict.fromkeys((1, 2, 3, 4), who(1))
    assert [ledger.member(pid).unread for pid in (100, 5)] == [None, None]
    ledger.doubt(ledger.member(5))
    ledger.trust(who(1))
    assert [ledger.member(pid).unread for pid in (1, 2, 3, 4, 5)] == [None, None, who(3), who(3), who(5)]


def test_who_turns_out_to_be_a_session_is_not_in_doubt_any_more_nor_is_what_it_bore():
    ledger = family((100, 1), (1, 200), (200, 3))
    ledger.doubt(ledger.member(1))
    ledger.open(root(200), 2.0)
    assert {pid: ledger.member(pid).unread for pid in (1, 200, 3)} == {1: who(1), 200: None, 3: None}


def test_a_child_that_is_in_doubt_for_itself_stays_so_when_its_parent_is_a_session():
    ledger = family((100, 200), (200, 3))
    ledger.doubt(ledger.member(3))
    ledger.open(root(200), 2.0)
    assert ledger.member(3).unread == who(3)


def test_what_a_session_calls_its_own_has_not_left():
    ledger = family((100, 1), (1, 2), (2, 3))
    ledger.exited(1, Death(5.0, ENDED))
    assert ledger.member(2).left is not None
    ledger.call_own(ledger.member(2), root(100).key)
    assert (ledger.member(2).left, ledger.member(2).witness) == (None, Witness.CHILD)
    assert ledger.member(3).witness is Witness.FORK


def test_what_an_inner_session_calls_its_own_goes_over_to_it_with_all_that_it_bore():
    ledger = family((100, 1), (1, 2), (100, 200))
    ledger.open(root(200), 2.0)
    ledger.call_own(ledger.member(1), root(200).key)
    assert owned(ledger) == []
    assert owned(ledger, 200) == [1, 2]
    assert ledger.member(1).witness is Witness.FORK


def test_what_a_session_names_is_claimed_for_it_and_let_go_again():
    ledger = family()
    ledger.claim(who(7), root(100).key, 1.0, None, Witness.CHILD)
    ledger.enter(who(8), 7, 2.0)
    assert (ledger.member(7).witness, ledger.member(7).left) == (Witness.CHILD, None)
    assert ledger.let_go(ledger.member(7)) == [who(7), who(8)]
    assert owned(ledger) == []
    assert 8 not in ledger


def test_whom_a_person_wants_kept_is_kept_from_the_moment_that_it_comes_in():
    ledger = family((100, 1))
    ledger.wanted = {who(2), who(3)}
    assert ledger.enter(who(2), 1, 1.0).kept
    assert ledger.claim(who(3), root(100).key, 1.0, None).kept
    assert not ledger.claim(who(4), root(100).key, 1.0, None).kept


def test_what_is_claimed_is_the_sessions_whoever_bore_it():
    ledger, told = family((100, 1)), []
    ledger.on_change = lambda: told.append(1)
    left = Departure(2.0, None)
    member = ledger.claim(who(2), root(100).key, 1.0, left)
    assert (member.parent, member.witness, member.left) == (0, Witness.SCOPE, left)
    assert ledger.member(2) is member
    assert owned(ledger) == [1, 2]
    assert told


def test_a_number_that_is_in_the_book_or_a_session_that_is_not_cannot_be_claimed():
    ledger = family((100, 1))
    before = ledger.member(1)
    assert ledger.claim(ProcessId(1, 77), root(100).key, 1.0, None) is None
    assert ledger.member(1) is before
    assert ledger.claim(who(2), "nobody@1", 1.0, None) is None
    assert 2 not in ledger


def test_what_a_session_calls_its_own_is_its_own_with_all_that_it_bore():
    ledger, told = family((100, 1), (1, 2), (100, 3)), []
    ledger.open(root(200), 0.0)
    ledger.on_change = lambda: told.append(1)
    ledger.member(1).left = Departure(2.0, None)
    ledger.call_own(ledger.member(1), root(200).key)
    assert owned(ledger, 200) == [1, 2]
    assert owned(ledger) == [3]
    assert (ledger.member(1).left, ledger.member(1).witness) == (None, Witness.CHILD)
    assert told
    ledger.call_own(ledger.member(3), root(200).key)
    assert ledger.member(3).witness is Witness.FORK  # it had not left


def test_what_a_session_lets_go_is_nobodys_with_all_that_it_bore():
    ledger = family((100, 1), (1, 2), (100, 3))
    assert ledger.let_go(ledger.member(1)) == [who(1), who(2)]
    assert owned(ledger) == [3]


def test_the_word_on_a_birth_after_the_look_counts_once_and_from_its_own_parent_only():
    ledger, told = family((100, 1)), []
    ledger.enter(who(2), 1, 1.0, Witness.LOOK)
    ledger.on_change = lambda: told.append(1)
    ledger.enter(who(2), 1, 2.0, Witness.LOOK)
    ledger.enter(who(2), 100, 2.0, Witness.FORK)
    assert ledger.member(2).executed is None
    assert not told
    ledger.enter(who(2), 1, 2.0, Witness.FORK)
    assert (ledger.member(2).witness, ledger.member(2).executed) == (Witness.FORK, False)
    assert told
    ledger.executed(2)
    ledger.enter(who(2), 1, 3.0, Witness.FORK)
    assert ledger.member(2).executed is True


def test_who_ran_nohup_is_remembered_and_so_are_those_that_it_bears():
    ledger = family((100, 1))
    ledger.ran_nohup(1)
    assert ledger.member(1).nohup
    assert ledger.enter(who(2), 1, 1.0).nohup


def test_a_child_that_is_not_in_the_book_any_more_stops_nobody():
    """A snapshot may hold one that has ended since."""
    ledger = family((100, 1))
    ledger.member(1).children.add(99)
    ledger.keep(ledger.member(1))
    ledger.doubt(ledger.member(1))
    assert ledger.member(1).kept


def test_doubt_trust_and_the_end_of_an_empty_session_are_told():
    ledger, told = family((100, 1)), []
    ledger.exited(100, Death(1.0))
    ledger.exited(1, Death(1.0))
    ledger.open(root(200), 0.0)
    ledger.on_change = lambda: told.append(1)
    for change in (
        lambda: ledger.doubt(ledger.member(200)),
        lambda: ledger.trust(who(200)),
        lambda: ledger.judged([Spared(who(200), "kept", "it is")]),
        lambda: ledger.close(root(100).key),
    ):
        told.clear()
        change()
        assert told


def test_who_is_doubted_for_two_is_trusted_when_both_are_told():
    ledger = family((100, 1), (1, 2))
    for pid in (1, 2, 2, 1):
        ledger.doubt(ledger.member(pid))
    born = ledger.enter(who(3), 2, 1.0)
    assert (born.unread, born.also_unread) == (who(1), (who(2),))
    ledger.trust(who(1))
    assert [ledger.member(pid).unread for pid in (1, 2, 3)] == [None, who(2), who(2)]
    ledger.trust(who(2))
    assert [ledger.member(pid).unread for pid in (1, 2, 3)] == [None, None, None]


def test_a_session_that_is_told_takes_its_own_doubt_away_and_no_other():
    ledger = family((100, 1), (1, 2))
    ledger.doubt(ledger.member(1))
    ledger.doubt(ledger.member(2))
    ledger.open(root(1), 2.0)
    assert (ledger.member(1).unread, ledger.member(2).unread) == (None, who(2))


def test_each_reason_to_doubt_is_kept_once_and_in_its_order():
    ledger = family((100, 1), (1, 2), (2, 3))
    for pid in (1, 2, 3):
        ledger.doubt(ledger.member(pid))
    ledger.trust(who(1))
    assert (ledger.member(3).unread, ledger.member(3).also_unread) == (who(2), (who(3),))
    ledger.trust(who(3))
    assert (ledger.member(3).unread, ledger.member(3).also_unread) == (who(2), ())


def test_who_was_sheltered_leaves_to_its_heirs_what_spared_the_topmost():
    ledger = family((100, 1), (1, 2))
    ledger.exited(100, Death(5.0, KILLED))
    ledger.judged([Spared(who(1), "sheltered", "it hangs under one", under="unknown")])
    ledger.exited(1, Death(6.0, KILLED))
    assert ledger.member(2).heir_of == "unknown"


def test_the_number_of_a_command_may_go_to_another_that_then_bears_no_commands_children():
    ledger = family((100, 1), (1, 2), session=root(100, command=1))
    key = root(100).key
    assert ledger.record(key).session.command == 1
    ledger.exited(1, Death(2.0, ENDED))
    ledger.enter(ProcessId(1, 7777), 2, 3.0)
    assert ledger.record(key).session.command == 0
