"""Births and ends, told early, late, wrongly or not at all."""

from __future__ import annotations

import os
import signal
import sys
import time
from unittest.mock import ANY

import pytest

from sentinel.core.events import ProcessExited, ProcessForked, SessionDied, SessionEmptied, SessionMoved, SessionOpened
from sentinel.core.facts import Cause, Death, Gone, ProcessId, Unknown
from sentinel.core.ledger import Witness
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Condemned, Spared
from sentinel.observe import processes
from sentinel.observe.surroundings import input_of
from tests.handlers.room import becomes, born, dead, ended, killed, leave_mark, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


def verdicts(room, session):
    return room.examiner.left_by(room.ledger.record(session.key))


# -- births told by the kernel ---------------------------------------------------------


def test_a_child_is_held_from_its_birth_and_owned_by_the_session_of_its_parent(room):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    child = room.forked(agent.pid, agent.do("bear()"))
    assert room.owner(child) == session.key
    assert room.handles.fd(room.ledger.member(child).id) is not None
    assert room.ledger.member(child).witness is Witness.FORK


def test_a_child_of_nobody_is_not_held(room):
    room.keep_books()
    stranger = room.start()
    room.forked(stranger.pid, stranger.do("bear()"))
    assert len(room.handles) == 0
    assert len(room.ledger) == 0


def test_what_a_child_bore_that_was_gone_before_we_looked_is_owned_all_the_same(room):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    between, grandchild = agent.bear_through()
    assert agent.do(f"os.waitpid({between}, 0)[0]") == between
    room.forked(agent.pid, between)
    room.forked(between, grandchild)
    assert room.owner(grandchild) == session.key
    assert isinstance(room.examiner.case(processes.identify(grandchild)).member.parent, int)


def test_one_that_was_gone_before_we_looked_is_left_out_of_the_book_at_its_end(room):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    brief = agent.do("bear('pass')")
    agent.do(f"os.waitpid({brief}, 0)[0]")
    room.forked(agent.pid, brief)
    assert room.ledger.member(brief).id == ProcessId(brief, 0)
    room.bus.publish(ProcessExited(brief, ended()))
    assert brief not in room.ledger
    assert verdicts(room, session) == ()


def test_another_process_that_has_the_number_now_is_not_taken_for_the_child(room):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    stranger = room.start()
    room.bus.publish(ProcessForked(agent.pid, stranger.pid, born(stranger.pid) - 5.0))
    assert room.owner(stranger.pid) is None
    assert room.handles.fd(stranger.who) is None
    room.bookkeeper.exited(ProcessExited(agent.pid, killed()))
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    assert not [verdict for verdict in verdicts(room, session) if isinstance(verdict, Condemned)]


def test_a_late_word_on_a_birth_does_not_cost_a_session_that_has_the_number_now(room):
    room.keep_books()
    outer, inner = room.start(), room.start()
    room.open(outer.pid)
    session = room.open(inner.pid, name="codex")
    room.bus.publish(ProcessForked(outer.pid, inner.pid, born(inner.pid) - 5.0))
    assert room.handles.fd(inner.who) is not None
    inner.end()
    room.bus.publish(ProcessExited(inner.pid, killed()))
    assert [event.session.key for event in room.told(SessionDied)] == [session.key]


def test_a_child_of_the_number_s_last_owner_is_not_given_to_its_next(room):
    room.keep_books()
    stranger = room.start()
    child = stranger.do("bear()")
    time.sleep(0.2)  # ticks are 10 ms: the next must be seen to be younger
    agent = room.start()
    room.open(agent.pid)
    room.bus.publish(ProcessForked(agent.pid, child, born(child)))
    assert room.owner(child) is None


def test_a_birth_that_took_the_kernel_long_to_tell_is_believed(room):
    # The start time is taken a moment before the word goes out: a process that is throttled,
    # or a machine that sleeps, makes that moment long.
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    child = agent.do("bear()")
    room.bus.publish(ProcessForked(agent.pid, child, born(child) + 3.0))
    assert room.owner(child) == session.key


def test_what_the_next_owner_of_a_number_bears_is_nobodys(room):
    # The word on the end of the one that had the number before was lost.
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    stranger = room.start()
    before = ProcessId(stranger.pid, stranger.who.start - 500)
    room.ledger.enter(before, agent.pid, time.monotonic() - 5)
    heir = room.forked(agent.pid, agent.do("bear()"))
    room.ledger.member(heir).parent = before.pid
    room.ledger.member(before.pid).children.add(heir)
    child = room.forked(stranger.pid, stranger.do("bear()"))
    assert room.owner(child) is None
    assert stranger.pid not in room.ledger
    assert room.handles.fd(processes.identify(child)) is None
    assert room.ledger.member(heir).left is not None  # the end is written off as any other


def test_who_gets_the_number_of_one_in_the_book_has_it_written_off(room):
    room.keep_books()
    agent, stranger = room.start(), room.start()
    session = room.open(agent.pid)
    between, child = agent.bear_through()
    room.forked(agent.pid, between)
    room.forked(between, child)
    agent.do(f"os.waitpid({between}, 0)[0]")  # its end is not told
    assert between in room.ledger
    room.bus.publish(ProcessForked(stranger.pid, between, time.monotonic()))
    assert between not in room.ledger
    assert room.ledger.member(child).left is not None
    agent.end()
    room.bus.publish(ProcessForked(stranger.pid, agent.pid, time.monotonic()))
    room.bus.publish(ProcessExited(agent.pid, killed()))
    assert [event.session for event in room.told(SessionDied)] == [session]


def test_the_birth_of_one_that_was_found_before_it_was_told_is_believed(room):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    child = agent.do("bear()")
    room.bookkeeper.adopt_below(agent.pid)
    known = room.ledger.member(child)
    os.kill(child, signal.SIGKILL)
    until(lambda: dead(child))
    room.bus.publish(ProcessForked(agent.pid, child, time.monotonic()))
    assert room.ledger.member(child) is known
    assert [event.session for event in room.told(SessionDied)] == []
    assert room.ledger.record(session.key).members.keys() == {agent.pid, child}


def test_what_the_middle_one_of_a_double_fork_bore_is_owned_when_that_is_reaped_by_then(room):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    between, child = agent.bear_through(between="time.sleep(60)")
    room.forked(agent.pid, between)
    os.kill(between, signal.SIGKILL)
    agent.do(f"os.waitpid({between}, 0)[0]")
    assert room.handles.ended(room.ledger.member(between).id) is True
    room.forked(between, child)
    assert room.owner(child) == session.key


# -- births found by samples -------------------------------------------------------------


def test_a_sampled_child_is_owned_while_its_parent_lives(room):
    room.keep_books(sampled=True)
    agent = room.start()
    session = room.open(agent.pid)
    child = agent.do("bear()")
    room.bus.publish(ProcessForked(agent.pid, child, time.monotonic()))
    member = room.ledger.member(child)
    assert (member.owner, member.witness, member.left) == (session.key, Witness.LOOK, None)
    assert member.id in room.exits.now


def test_a_sampled_child_whose_parent_has_changed_is_nobodys(room):
    room.keep_books(sampled=True)
    agent = room.start()
    room.open(agent.pid)
    between, grandchild = agent.bear_through()
    agent.do(f"os.waitpid({between}, 0)[0]")
    room.bus.publish(ProcessForked(agent.pid, grandchild, time.monotonic()))
    assert grandchild not in room.ledger
    assert len(room.handles) == 1


def test_a_sampled_child_of_a_parent_that_ended_is_nobodys(room):
    room.keep_books(sampled=True)
    agent = room.start()
    room.open(agent.pid)
    child = agent.do("bear()")
    agent.kill()
    until(lambda: dead(child) or processes.above(child).parent != agent.pid)
    room.bus.publish(ProcessForked(agent.pid, child, time.monotonic()))
    assert child not in room.ledger


def test_a_sampled_child_of_the_next_owner_of_a_number_is_not_given_to_its_last(room):
    room.keep_books(sampled=True)
    parent = room.start()
    before = ProcessId(parent.pid, parent.who.start - 5)  # dead, and nobody has told us yet
    room.ledger.open(Session(Kind.AGENT, "claude", before), time.monotonic())
    child = parent.do("bear()")
    room.bus.publish(ProcessForked(parent.pid, child, time.monotonic()))
    assert child not in room.ledger
    assert len(room.handles) == 0


def test_a_sampled_child_has_whoever_had_its_number_written_off(room):
    room.keep_books(sampled=True)
    agent = room.start()
    room.open(agent.pid)
    child, orphan = agent.do("bear()"), agent.do("bear()")
    before = ProcessId(child, processes.identify(child).start - 5)
    room.ledger.enter(before, agent.pid, time.monotonic())
    room.exits.watch(before)
    room.ledger.enter(processes.identify(orphan), child, time.monotonic())
    room.bus.publish(ProcessForked(agent.pid, child, time.monotonic()))
    assert room.ledger.member(child).id == processes.identify(child)
    assert room.ledger.member(orphan).left is not None
    assert before not in room.exits.now


def test_what_fell_to_a_subreaper_has_lost_its_parent_before(room):
    room.keep_books(sampled=True)
    wrapper = room.start()
    command, fallen = wrapper.do("bear()"), wrapper.do("bear()")
    room.open(wrapper.pid, Kind.RUN, "make", command=command)
    for pid in (command, fallen):
        room.bus.publish(ProcessForked(wrapper.pid, pid, time.monotonic()))
    assert room.ledger.member(command).left is None
    assert room.ledger.member(fallen).left is not None
    assert [room.ledger.member(pid).foundling for pid in (command, fallen)] == [False, True]


def wrapper_with_a_foundling(room):
    """A subreaper, its child, and a daemon that fell to it and has no session (setsid) of its own."""
    wrapper = room.start()
    assert wrapper.do("__import__('ctypes').CDLL(None).prctl(36, 1, 0, 0, 0)") == 0  # PR_SET_CHILD_SUBREAPER
    command = wrapper.do("bear()")
    _, fallen = wrapper.bear_through()
    until(lambda: processes.above(fallen).parent == wrapper.pid)
    return wrapper, command, fallen


@pytest.mark.parametrize("registered", [True, False])
def test_which_one_a_run_bore_its_mark_says_before_the_wrapper_is_heard(room, registered):
    """A busy agent samples what is there before it reads what it is told."""
    room.keep_books(sampled=True)
    around = room.start()
    wrapper, command, fallen = wrapper_with_a_foundling(room)
    outer = room.open(around.pid)
    if registered:
        room.open(wrapper.pid, Kind.RUN, "make", outer=outer.key, command=0)
    else:
        room.ledger.enter(room.handles.take(wrapper.pid), around.pid, time.monotonic(), Witness.LOOK)
    leave_mark(room, wrapper, command=command)
    for pid in (command, fallen):
        room.bus.publish(ProcessForked(wrapper.pid, pid, time.monotonic()))
    assert room.ledger.member(command).left is None
    assert room.ledger.member(fallen).left is not None


def test_a_mark_that_another_process_of_that_number_left_says_nothing_of_whom_it_bore(room):
    room.keep_books(sampled=True)
    wrapper, command, other = wrapper_with_a_foundling(room)
    room.open(wrapper.pid, Kind.RUN, "make", command=0)
    leave_mark(room, wrapper, command=other, start=wrapper.who.start - 5)
    room.bus.publish(ProcessForked(wrapper.pid, command, time.monotonic()))
    assert room.ledger.member(command).left is None


def test_what_may_have_fallen_to_another_subreaper_counts_as_having_left(room):
    """A daemon under such a one looks like its child, but has a session that it did not get from there."""
    room.keep_books(sampled=True)
    agent = room.start()
    assert agent.do("__import__('ctypes').CDLL(None).prctl(36, 1, 0, 0, 0)") == 0  # PR_SET_CHILD_SUBREAPER
    room.open(agent.pid)
    child = agent.do("bear()")
    _, daemon = agent.bear_through("os.setsid(); time.sleep(60)")
    until(lambda: processes.look(daemon).parent == agent.pid and processes.look(daemon).session == daemon)
    room.bookkeeper.adopt_below(agent.pid)
    assert room.ledger.member(child).left is None
    assert room.ledger.member(daemon).left == (ANY, None, None)


def test_what_hangs_under_a_tmux_server_was_born_of_it(room):
    """A pane that was opened while nobody looked leads a session, as foundlings do."""
    room.keep_books()
    server, pane = room.start(), None
    session = room.open(server.pid, Kind.TMUX, "work")
    for _ in range(2):
        pane = server.do("bear('os.setsid(); ready(); time.sleep(60)')")
        room.bookkeeper.adopt_below(server.pid)
        assert room.ledger.member(pane).left is None
        room.open(pane, Kind.PANE, outer=session.key)


def test_what_hangs_under_an_overminds_own_server_was_born_of_it_whoever_lives_inside(room):
    """Else its panes are nobody's, and the server is ended whatever is at work in them."""
    room.keep_books(sampled=True)
    manager, server, agent = room.start(), room.start(), room.start()
    session = room.open(manager.pid, Kind.OVERMIND, "shop")
    member = room.ledger.enter(room.handles.take(server.pid), manager.pid, time.monotonic(), Witness.CLIENT)
    room.ledger.manages(member)
    room.open(agent.pid, outer=session.key)
    pane = server.do("bear('os.setsid(); ready(); time.sleep(60)')")
    room.bookkeeper.adopt_below(server.pid)
    assert room.owner(pane) == session.key
    assert room.ledger.member(pane).left is None


def test_what_has_a_session_of_its_own_may_be_a_foundling_of_a_run_that_has_not_said_what_it_bore(room):
    room.keep_books(sampled=True)
    wrapper = room.start()
    daemon = wrapper.do("letting_go()")
    room.open(wrapper.pid, Kind.RUN, "make", command=0)
    room.bus.publish(ProcessForked(wrapper.pid, daemon, time.monotonic()))
    assert room.ledger.member(daemon).left is not None


def test_a_foundling_of_a_session_with_others_inside_is_nobodys(room):
    """It may have been theirs: then it is at work, when this one dies."""
    room.keep_books(sampled=True)
    wrapper = room.start()
    command, inner, foundling = wrapper.do("bear()"), wrapper.do("bear()"), wrapper.do("bear()")
    outer = room.open(wrapper.pid, Kind.RUN, "make", command=command)
    room.open(inner, outer=outer.key)
    room.bus.publish(ProcessForked(wrapper.pid, foundling, time.monotonic()))
    assert foundling not in room.ledger
    assert processes.identify(foundling) not in room.handles


def test_the_command_of_a_run_is_no_foundling_while_the_wrapper_has_not_said_which_it_is(room):
    room.keep_books(sampled=True)
    wrapper = room.start()
    command = wrapper.do("bear()")
    room.open(wrapper.pid, Kind.RUN, "make", command=0)
    room.bus.publish(ProcessForked(wrapper.pid, command, time.monotonic()))
    assert room.ledger.member(command).left is None


def test_a_newborn_of_which_nobody_can_tell_who_it_is_leaves_a_doubt_to_what_it_bears(room, monkeypatch):
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    child, grandchild = agent.bear_through(between="time.sleep(60)")
    with monkeypatch.context() as blind:
        blind.setattr(processes, "identify", lambda pid: Unknown("who it is", "a test says so"))
        room.forked(agent.pid, child)
    room.forked(child, grandchild)
    assert room.ledger.member(child).unread is not None
    assert room.ledger.member(grandchild).unread is not None
    assert room.ledger.member(grandchild).id == processes.identify(grandchild)


def test_what_one_bore_of_whom_nobody_can_tell_whether_it_still_has_its_number_is_in_doubt(room, monkeypatch):
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    child = agent.do("bear()")
    with monkeypatch.context() as blind:
        blind.setattr(room.handles, "ended", lambda _: Unknown("whether it has ended", "a test says so"))
        room.forked(agent.pid, child)
    assert room.ledger.member(child).unread == processes.identify(child)


def test_what_a_number_bore_of_which_nobody_can_tell_whose_it_is_now_is_in_doubt(room, monkeypatch):
    """The one that we knew has ended."""
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    between, child = agent.bear_through(between="time.sleep(60)")
    room.ledger.enter(ProcessId(between, 5), agent.pid, time.monotonic())
    with monkeypatch.context() as blind:
        identify = processes.identify
        unknown = Unknown("who it is", "a test says so")
        blind.setattr(processes, "identify", lambda pid: unknown if pid == between else identify(pid))
        room.forked(between, child)
    assert room.ledger.member(child).unread == processes.identify(child)


def test_what_a_number_bore_whose_owner_may_have_ended_before_is_in_doubt(room, monkeypatch):
    """Its end was told and could not be made sure of; by now there is nobody of that number."""
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    between, child = agent.bear_through(between="time.sleep(60)")
    room.ledger.enter(ProcessId(between, 5), agent.pid, time.monotonic())
    unknown = Unknown("whether it has ended", "a test says so")
    with monkeypatch.context() as blind:
        blind.setattr(room.handles, "ended", lambda _: unknown)
        room.bus.publish(ProcessExited(between, killed()))
    with monkeypatch.context() as gone:
        identify = processes.identify
        gone.setattr(processes, "identify", lambda pid: Gone() if pid == between else identify(pid))
        room.forked(between, child)
    assert room.ledger.member(child).unread == processes.identify(child)


def test_who_could_not_be_told_at_its_birth_and_can_be_later_is_the_same_with_all_that_was_known_of_it(
    room, monkeypatch
):
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    child, grandchild = agent.bear_through(between="time.sleep(60)")
    room.ledger.keep(room.ledger.member(agent.pid))
    with monkeypatch.context() as blind:
        blind.setattr(processes, "identify", lambda pid: Unknown("who it is", "a test says so"))
        room.forked(agent.pid, child)
    room.forked(child, grandchild)
    known = room.ledger.member(child)
    room.bookkeeper.make_way(processes.identify(child))
    assert room.ledger.member(child) is known
    assert (known.id, known.kept, known.children) == (processes.identify(child), True, {grandchild})


def test_a_younger_one_than_who_could_not_be_told_at_its_birth_is_another(room):
    room.keep_books()
    agent, stranger = room.start(), room.start()
    room.open(agent.pid)
    room.ledger.enter(ProcessId(stranger.pid, 0), agent.pid, time.monotonic() - 5)
    room.bookkeeper.make_way(stranger.who)
    assert stranger.pid not in room.ledger


def test_a_child_of_a_root_that_ended_well_of_which_nobody_can_tell_what_it_runs_is_in_doubt(room, monkeypatch):
    room.keep_books()
    agent = room.start()
    room.open(agent.pid, Kind.AGENT, "claude")
    child = room.forked(agent.pid, agent.do("bear()"))
    monkeypatch.setattr(processes, "program", lambda _: Unknown("what it runs", "a test says so"))
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, ended()))
    assert room.told(SessionDied) != []
    assert room.ledger.member(child).unread == processes.identify(child)


def test_who_may_have_lost_a_parent_before_the_session_died_counts_as_having_left(room, monkeypatch):
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    child, grandchild = agent.bear_through(between="time.sleep(60)")
    room.forked(agent.pid, child)
    room.forked(child, grandchild)
    between, lives = room.ledger.member(child).id, room.handles.ended
    unknown = Unknown("whether it lives", "a test says so")
    monkeypatch.setattr(room.handles, "ended", lambda who: unknown if who == between else lives(who))
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    assert room.ledger.member(grandchild).left is not None


# -- ends ----------------------------------------------------------------------------------

FIRST_THREAD_ENDS = (
    "(threading.Thread(target=time.sleep, args=(60,)).start(), print('gone', flush=True), __import__('ctypes')"
    ".CDLL(None).pthread_exit(None))"
)


def lose_first_thread(puppet):
    """Have a process end its first thread alone."""
    assert puppet.do(FIRST_THREAD_ENDS) == "gone"
    until(lambda: not processes.working_directory(puppet.pid))
    assert puppet.poll() is None


def test_the_end_of_a_first_thread_is_not_the_end_of_its_process(room, monkeypatch):
    monkeypatch.setattr(room.handles, "status", lambda who: None)
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    room.exits.now.clear()
    lose_first_thread(agent)
    room.bus.publish(ProcessExited(agent.pid, ended(3)))
    assert room.told(SessionDied) == []
    assert agent.who in room.exits.now
    agent.end()
    time.sleep(0.6)  # what was said of the first thread long ago is not how the last ended
    room.bus.publish(ProcessExited(agent.pid, Death(time.monotonic())))
    assert [event.session for event in room.told(SessionDied)] == [session]
    assert room.told(SessionDied)[0].death.cause is Cause.UNTOLD


def test_how_the_first_thread_ended_serves_when_the_last_ends_with_it(room, monkeypatch):
    monkeypatch.setattr(room.handles, "status", lambda who: None)
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    lose_first_thread(agent)
    room.bus.publish(ProcessExited(agent.pid, killed()))
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, Death(time.monotonic())))
    assert room.told(SessionDied)[0].death.signal == signal.SIGKILL


def test_a_process_that_lost_its_first_thread_is_still_there_to_be_judged(room):
    room.keep_books()
    agent, child = room.start(), room.start()
    session = room.open(agent.pid, input=input_of(child.pid))
    room.bus.publish(ProcessForked(agent.pid, child.pid, born(child.pid)))
    lose_first_thread(child)
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    assert [type(verdict) for verdict in verdicts(room, session)] == [Condemned]


def test_an_end_that_cannot_be_made_sure_of_writes_nobody_off(room, monkeypatch):
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    monkeypatch.setattr(room.handles, "ended", lambda who: Unknown("whether it lives", "a test says so"))
    room.bus.publish(ProcessExited(agent.pid, killed()))
    room.bookkeeper.look_after()
    assert agent.pid in room.ledger
    assert room.told(SessionDied) == []


def test_an_end_of_nobody_means_nothing(room):
    room.keep_books()
    room.bus.publish(ProcessExited(os.getpid(), killed()))
    assert room.events == []


def test_the_word_of_an_end_that_is_none_changes_nothing(room):
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    room.bus.publish(ProcessExited(agent.pid, killed()))
    assert agent.pid in room.ledger
    assert room.told(SessionDied) == []


def test_ends_that_nobody_told_are_found_by_a_look(room):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    child = room.forked(agent.pid, agent.do("bear()"))
    agent.end()
    room.bookkeeper.look_after()
    assert [event.session for event in room.told(SessionDied)] == [session]
    assert not dead(child)
    assert child in room.ledger
    assert agent.who not in room.exits.now
    assert room.handles.fd(agent.who) is None


def test_the_end_of_the_last_that_a_dead_session_left_is_told_once(room):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    children = [room.forked(agent.pid, agent.do("bear()")) for _ in range(2)]
    agent.end()
    room.bus.publish(ProcessExited(agent.pid, killed()))
    for child in children:
        assert room.told(SessionEmptied) == []
        os.kill(child, signal.SIGKILL)
        until(lambda child=child: dead(child))
        room.bus.publish(ProcessExited(child, killed()))
        room.bus.publish(ProcessExited(child, killed()))
    assert [event.key for event in room.told(SessionEmptied)] == [session.key]


def test_how_it_ended_is_asked_of_the_kernel_when_nobody_told(room):
    room.keep_books()
    agent = room.start()
    room.open(agent.pid)
    agent.tell("os._exit(7)")
    agent.wait()
    room.bus.publish(ProcessExited(agent.pid, Death(time.monotonic())))
    death = room.told(SessionDied)[0].death
    assert death.code == 7 or death.cause is Cause.UNTOLD  # a kernel before 6.15 does not tell


# -- sessions that put themselves into the background ------------------------------------------


@pytest.fixture
def agent_named_claude(room, tmp_path):
    """A puppet that is recognised as claude."""
    from tests.handlers.room import PUPPET

    program = tmp_path / "claude"
    program.write_text(f"#!{sys.executable} -IS\n{PUPPET}")
    program.chmod(0o755)
    return room.start(str(program))


def daemonise(room, agent, status=0):
    """Have it fork a child that goes on as it, and end. Returns the child."""
    heir = room.forked(agent.pid, agent.do("letting_go()"))
    agent.tell(f"os._exit({status})")
    agent.wait()
    return heir


def test_a_root_that_goes_into_the_background_goes_on_as_the_same_session(room, agent_named_claude):
    room.keep_books()
    agent = agent_named_claude
    session = room.open(agent.pid)
    other = room.forked(agent.pid, agent.do("bear(\"os.execv('/bin/sleep', ['sleep', '60'])\")"))
    becomes(other, "sleep")
    heir = daemonise(room, agent)
    room.bus.publish(ProcessExited(agent.pid, ended()))
    assert room.told(SessionDied) == []
    successor = next(room.ledger.sessions()).session
    assert successor.root.pid == heir
    assert successor.key != session.key
    assert room.told(SessionMoved) == [SessionMoved(successor, session)]
    assert room.owner(other) == successor.key
    assert successor.root in room.exits.now
    os.kill(successor.root.pid, signal.SIGKILL)
    until(lambda: dead(successor.root.pid))
    room.bus.publish(ProcessExited(successor.root.pid, killed()))
    assert [event.session for event in room.told(SessionDied)] == [successor]


def test_a_root_of_which_nobody_told_how_it_ended_may_have_gone_into_the_background(room, agent_named_claude):
    # An old kernel without the connector: to end the heir would be to end a living session.
    room.keep_books()
    agent = agent_named_claude
    room.open(agent.pid)
    heir = daemonise(room, agent)
    room.handles.status = lambda who: None
    room.bus.publish(ProcessExited(agent.pid, Death(time.monotonic())))
    assert room.told(SessionDied) == []
    assert next(room.ledger.sessions()).session.root.pid == heir


@pytest.mark.parametrize("told", [True, False])
def test_each_worker_of_a_launcher_that_ended_is_a_living_session(room, agent_named_claude, told):
    # Two agents at work under one launcher: neither may be ended when the other one dies.
    room.keep_books()
    launcher = agent_named_claude
    room.open(launcher.pid, outer="outer@1")
    workers = [room.forked(launcher.pid, launcher.do("letting_go()")) for _ in range(3)]
    launcher.tell("os._exit(0)")
    launcher.wait()
    if not told:
        room.handles.status = lambda who: None
    room.bus.publish(ProcessExited(launcher.pid, ended() if told else Death(time.monotonic())))
    assert room.told(SessionDied) == []
    assert sorted(record.session.root.pid for record in room.ledger.sessions()) == sorted(workers)
    assert {record.session.outer for record in room.ledger.sessions()} == {"outer@1"}
    assert {who.pid for who in room.exits.now} == set(workers)
    first, *others = [record.session for record in room.ledger.sessions()]
    assert [event.session for event in room.told(SessionOpened)] == others
    os.kill(first.root.pid, signal.SIGKILL)
    until(lambda: dead(first.root.pid))
    room.bus.publish(ProcessExited(first.root.pid, killed()))
    assert [event.session for event in room.told(SessionDied)] == [first]
    assert verdicts(room, first) == ()


def test_what_a_worker_bore_goes_with_it_and_what_the_launcher_bore_with_the_first(room, agent_named_claude):
    room.keep_books()
    launcher = agent_named_claude
    room.open(launcher.pid)
    first = room.forked(launcher.pid, launcher.do("letting_go()"))
    other, tool = launcher.bear_through(between="time.sleep(60)")
    room.forked(launcher.pid, other)
    room.forked(other, tool)
    launcher.tell("os._exit(0)")
    launcher.wait()
    room.bus.publish(ProcessExited(launcher.pid, ended()))
    assert room.owner(tool) == room.owner(other) != room.owner(first)


def test_a_root_that_failed_has_no_heir(room, agent_named_claude):
    room.keep_books()
    agent = agent_named_claude
    session = room.open(agent.pid)
    daemonise(room, agent, status=1)
    room.bus.publish(ProcessExited(agent.pid, ended(1)))
    assert [event.session for event in room.told(SessionDied)] == [session]


def test_a_child_that_runs_something_else_is_no_heir(room):
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    daemonise(room, agent)
    room.bus.publish(ProcessExited(agent.pid, ended()))
    assert [event.session for event in room.told(SessionDied)] == [session]


def test_a_run_has_no_heir(room, agent_named_claude):
    room.keep_books()
    agent = agent_named_claude
    session = room.open(agent.pid, Kind.RUN)
    heir = daemonise(room, agent)
    room.bus.publish(ProcessExited(agent.pid, ended()))
    assert [event.session for event in room.told(SessionDied)] == [session]
    assert isinstance(room.examiner.verdict(processes.identify(heir)), (Condemned, Spared))
