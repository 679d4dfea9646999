"""Wrappers that say who they are: by a mark, and by what the kernel says of the sender."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest

from sentinel import runs
from sentinel.core.events import SessionDied, SessionOpened
from sentinel.core.facts import Gone, Unknown
from sentinel.core.ledger import Witness
from sentinel.core.sessions import Kind
from sentinel.errors import SentinelError
from sentinel.handlers.run_sessions import RunSessions
from sentinel.observe import processes
from tests.handlers.room import dead, killed, leave_mark, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def sessions(room):
    room.keep_books()
    return RunSessions(
        room.bus,
        room.ledger,
        bookkeeper=room.bookkeeper,
        openings=room.openings,
        runtime=room.where.runtime,
        catch_up=lambda: None,
    )


@pytest.fixture
def wrapper(room):
    """A subreaper that has left its mark, as `sentinel run` does."""
    wrapper = room.start()
    assert wrapper.do("__import__('ctypes').CDLL(None).prctl(36, 1, 0, 0, 0)") == 0
    leave_mark(room, wrapper)
    return wrapper


def test_a_wrapper_is_watched_when_it_says_so(room, sessions, wrapper):
    session = sessions.register(wrapper.pid)
    assert (session.kind, session.name, session.root, session.directory) == (Kind.RUN, "make", wrapper.who, "/srv")
    assert [(event.session, event.how) for event in room.told(SessionOpened)] == [(session, "registered")]
    assert sessions.register(wrapper.pid) == session
    assert len(room.told(SessionOpened)) == 1


def test_a_wrapper_that_speaks_before_its_birth_is_told_is_inside_of_the_session_that_bore_it(room, sessions):
    outer = room.start()
    key = room.open(outer.pid).key
    wrapper = processes.identify(outer.do("bear()"))
    untold = [wrapper.pid]
    sessions._catch_up = lambda: [room.forked(outer.pid, untold.pop())] if untold else None
    runs.write(room.where.runtime, runs.Mark(processes.boot_id(), *wrapper, "make", "/srv"))
    assert sessions.register(wrapper.pid).outer == key


def test_a_wrapper_whose_word_still_waits_when_the_session_around_it_dies_is_one_of_its_own(room, sessions):
    outer = room.start()
    around = room.open(outer.pid)
    wrapper = processes.identify(outer.do("bear()"))
    other = room.forked(outer.pid, outer.do("bear()"))
    room.forked(outer.pid, wrapper.pid)
    runs.write(room.where.runtime, runs.Mark(processes.boot_id(), *wrapper, "make", "/srv"))
    outer.end()
    room.ledger.exited(outer.pid, killed())
    room.bus.publish(SessionDied(around, killed()))
    assert room.ledger.rooted_at(wrapper.pid).kind is Kind.RUN
    assert [member.id.pid for member in room.ledger.members(around.key)] == [other]


def test_who_left_a_mark_and_is_in_no_session_is_not_met_at_a_death(room, sessions, wrapper):
    agent = room.start()
    session = room.open(agent.pid)
    room.bus.publish(SessionDied(session, killed()))
    assert room.ledger.rooted_at(wrapper.pid) is None


@pytest.mark.parametrize("look", ["identify", "owner"])
def test_a_wrapper_of_whom_nobody_can_tell_who_it_is_is_in_doubt_and_so_is_what_it_bears(
    room, sessions, monkeypatch, look
):
    outer = room.start()
    room.open(outer.pid)
    wrapper = processes.identify(outer.do("bear()"))
    room.forked(outer.pid, wrapper.pid)
    runs.write(room.where.runtime, runs.Mark(processes.boot_id(), *wrapper, "make", "/srv"))
    with monkeypatch.context() as blind:
        blind.setattr(processes, look, lambda _: Unknown("who it is", "a test says so"))
        with pytest.raises(SentinelError):
            sessions.register(wrapper.pid)
    assert room.ledger.member(wrapper.pid).unread == wrapper
    assert sessions.register(wrapper.pid).root == wrapper
    assert room.ledger.member(wrapper.pid).unread is None


def test_a_sender_without_a_mark_is_refused(room, sessions):
    with pytest.raises(SentinelError, match="has not left the mark of a `sentinel run`"):
        sessions.register(room.start().pid)
    assert room.events == []


@pytest.mark.parametrize("wrong", [{"boot": "another"}, {"start": 5}])
def test_the_mark_of_another_process_of_that_number_is_refused(room, sessions, wrapper, wrong):
    leave_mark(room, wrapper, **wrong)
    with pytest.raises(SentinelError, match="has not left the mark"):
        sessions.register(wrapper.pid)
    sessions.find()
    assert runs.read(room.where.runtime, wrapper.pid) is None
    assert room.events == []


def test_a_mark_of_which_nobody_can_tell_stays_for_the_next_look(room, sessions, wrapper, monkeypatch):
    with monkeypatch.context() as blind:
        blind.setattr(processes, "identify", lambda pid: Unknown("who it is", "a test says so"))
        sessions.find()
    assert room.events == []
    sessions.find()
    assert room.ledger.rooted_at(wrapper.pid) is not None


@pytest.mark.parametrize("name", ["{pid}.json", "1.json.{pid}.new"])
@pytest.mark.parametrize("content", [b"", b'{"boot": "of a later version"}'])
def test_what_nobody_can_read_goes_when_whoever_left_it_has_ended_and_not_before(
    room, sessions, monkeypatch, name, content
):
    puppet = room.start()
    path = room.where.runtime / "runs" / name.format(pid=puppet.pid)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    sessions.find()
    assert path.exists()  # the living one may be its wrapper
    puppet.end()
    with monkeypatch.context() as blind:
        blind.setattr(processes, "identify", lambda pid: Unknown("who it is", "a test says so"))
        sessions.find()
    assert path.exists()
    until(lambda: isinstance(processes.identify(puppet.pid), Gone))
    sessions.find()
    assert not path.exists()


def test_a_wrapper_that_ends_while_it_is_looked_at_keeps_nobody_else_from_being_found(room, sessions, wrapper):
    other = room.start()
    leave_mark(room, other)
    for ended in (wrapper, other):
        taken = sessions._openings.take
        sessions._openings.take = lambda pid, ended=ended, taken=taken: None if pid == ended.pid else taken(pid)
        sessions.find()
        sessions._openings.take = taken
    assert {room.ledger.rooted_at(puppet.pid) is not None for puppet in (wrapper, other)} == {True}


def test_a_mark_for_somebody_else_registers_nobody(room, sessions, wrapper):
    other = room.start()
    with pytest.raises(SentinelError):
        sessions.register(other.pid)
    for ask in (sessions.started, lambda sender: sessions.leaving(sender, [wrapper.pid])):
        with pytest.raises(SentinelError):
            ask(other.pid)
    assert len(room.ledger) == 0


def test_the_command_is_known_once_it_runs(room, sessions, wrapper):
    sessions.register(wrapper.pid)
    command = wrapper.do("bear()")
    leave_mark(room, wrapper, command=command)
    session = sessions.started(wrapper.pid)
    assert room.ledger.record(session.key).session.command == command


@pytest.mark.parametrize("told", ["register", "started"])
def test_a_command_that_was_seen_before_its_wrapper_named_it_is_no_foundling(room, sessions, wrapper, told):
    """Whatever is seen under a wrapper that has not said what it bore may have fallen to it."""
    if told == "started":
        sessions.register(wrapper.pid)
    else:
        around = room.start()
        outer = room.open(around.pid)
        room.ledger.claim(room.handles.take(wrapper.pid), outer.key, 0.0, None, Witness.LOOK)
    command = wrapper.do("bear()")
    room.bookkeeper.adopt_below(wrapper.pid)
    assert room.ledger.member(command).left is not None
    leave_mark(room, wrapper, command=command)
    session = getattr(sessions, told)(wrapper.pid)
    assert (room.owner(command), room.ledger.member(command).left) == (session.key, None)


def test_a_wrapper_found_before_its_command_ran_is_known_by_it_at_the_next_look(room, sessions, wrapper):
    # It found no agent to tell, and one has come since.
    sessions.find()
    command = wrapper.do("bear()")
    leave_mark(room, wrapper, command=command)
    sessions.find()
    (record,) = room.ledger.sessions()
    assert record.session.command == command


def test_another_process_that_has_the_commands_number_is_not_the_command(room, sessions, wrapper):
    """What that bears and leaves was not the command's own."""
    sessions.register(wrapper.pid)
    command, another = wrapper.bear_through(between="time.sleep(60)")
    room.forked(wrapper.pid, command)
    room.forked(command, another)
    leave_mark(room, wrapper, command=another)
    sessions.find()
    assert room.ledger.rooted_at(wrapper.pid).command == 0


def test_what_it_names_when_it_leaves_is_looked_at_before_it_is_believed(room, sessions, wrapper):
    session = sessions.register(wrapper.pid)
    stranger = room.start()
    own, fallen = wrapper.bear_through()
    until(lambda: processes.above(fallen).parent == wrapper.pid)
    leave_mark(room, wrapper, command=own)
    wrapper.do(f"os.waitpid({own}, 0)[0]")
    sessions.started(wrapper.pid)
    odd = [0, -1, 1, os.getpid(), 2**22, 10**30, own]
    assert sessions.leaving(wrapper.pid, [stranger.pid, *odd, fallen]).key == session.key
    assert [member.id.pid for member in room.ledger.members(session.key)] == [fallen]
    member = room.ledger.member(fallen)
    assert member.witness is Witness.CHILD
    assert member.left is not None
    assert len(room.handles) == 2


def test_what_is_owned_already_stays_who_it_is(room, sessions, wrapper):
    session = sessions.register(wrapper.pid)
    child = room.forked(wrapper.pid, wrapper.do("bear()"))
    sessions.leaving(wrapper.pid, [child])
    assert room.ledger.member(child).witness is Witness.FORK
    assert replace(session) == session


def test_a_wrapper_that_has_ended_is_refused(room, sessions, wrapper):
    wrapper.end()
    assert dead(wrapper.pid)
    with pytest.raises(SentinelError):
        sessions.register(wrapper.pid)
