"""When a control group is killed as a whole, and when it is not: real groups and processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sentinel.core.actions import Result
from sentinel.core.events import CleanedUp, ProcessExited, SessionClosed
from sentinel.core.ledger import Witness
from sentinel.core.policy import KindPolicy, Policy
from sentinel.core.scopes import name_for
from sentinel.core.sessions import Kind
from sentinel.core.verdicts import Spared
from sentinel.handlers.last_resort import LastResort
from sentinel.handlers.scopes import Scopes
from tests.handlers.room import HANG, becomes, dead, killed, until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"),
    pytest.mark.namespace,
    pytest.mark.usefixtures("groups"),
]

SLEEP = "os.execv('/bin/sleep', ['sleep', '60'])"


class Restraint:
    """Stands in for the switches: what it says is tested where it is."""

    why = ""

    def held(self):
        return self.why


@pytest.fixture
def restraint():
    return Restraint()


@pytest.fixture
def later(room, restraint):
    """What was asked to be done later, of a room that has the handler."""
    later = []

    def ask(delay, call, *arguments):
        later.append((delay, call, arguments))

    room.policy = Policy(kinds=dict.fromkeys(Kind, KindPolicy(grace=4.0)))
    scopes = Scopes(
        room.bus,
        ledger=room.ledger,
        handles=room.handles,
        bookkeeper=room.keep_books(),
        openings=room.openings,
        later=ask,
    )
    LastResort(
        room.bus,
        ledger=room.ledger,
        examiner=room.examiner,
        scopes=scopes,
        restraint=restraint,
        journal=room.journal,
        policy=lambda: room.policy,
        catch_up=lambda: None,
        later=ask,
    )
    return later


@pytest.fixture
def wrapper(room, groups, later):
    """The wrapper of a run, whose children are moved into its group (the real one bears them there)."""
    puppet = room.start()
    scope = groups.make(name_for(puppet.who))
    room.open(puppet.pid, Kind.RUN, "api", scope=scope)
    return puppet


def bear(room, groups, wrapper, script=SLEEP):
    session = room.ledger.rooted_at(wrapper.pid)
    child = room.forked(wrapper.pid, wrapper.do(f"bear({script!r})"))
    groups.move(child, session.scope)
    becomes(child, "sleep")  # of one that is replacing its program nobody can tell, and all are spared
    return child


def die(room, wrapper):
    session = room.ledger.rooted_at(wrapper.pid)
    wrapper.end()
    room.bus.publish(ProcessExited(wrapper.pid, killed()))
    return session


def fire(later):
    due, later[:] = list(later), []
    for _, call, arguments in due:
        call(*arguments)


def test_after_the_grace_whoever_is_left_is_killed_with_the_group(room, groups, wrapper, later):
    children = [bear(room, groups, wrapper) for _ in range(2)]
    session = die(room, wrapper)
    ((delay, *_),) = later
    assert delay == 4.5
    fire(later)
    until(lambda: all(map(dead, children)), "their end")
    (done,) = room.told(CleanedUp)
    assert {outcome.result for outcome in done.outcomes} == {Result.KILLED}
    assert done.session == session


def test_one_that_nobody_saw_born_is_of_the_group_too(room, groups, wrapper, later):
    bear(room, groups, wrapper)
    between, lost = wrapper.bear_through(SLEEP)
    groups.move(lost, room.ledger.rooted_at(wrapper.pid).scope)
    wrapper.do(f"os.waitpid({between}, 0)[0]")
    becomes(lost, "sleep")
    die(room, wrapper)
    assert room.ledger.member(lost).witness is Witness.SCOPE
    fire(later)
    until(lambda: dead(lost), "its end")


def test_one_that_is_in_the_group_and_was_not_seen_at_the_death_is_found_before_the_end(room, groups, wrapper, later):
    bear(room, groups, wrapper)
    stranger = subprocess.Popen(["/bin/sleep", "60"], stdout=subprocess.PIPE, start_new_session=True)
    becomes(stranger.pid, "sleep")
    session = die(room, wrapper)  # whoever is born after it is of the next generation
    groups.move(stranger.pid, session.scope)
    fire(later)
    assert stranger.wait(timeout=HANG) == -9
    stranger.stdout.close()


def test_where_nobody_could_tell_of_one_the_group_is_looked_at_again(room, groups, wrapper, later, monkeypatch):
    """A stand-in: one that is just replacing its program gives no answer for some 20 us."""
    child = bear(room, groups, wrapper)
    die(room, wrapper)
    really, answers = room.examiner.left_by, [lambda verdict: Spared(verdict.id, "unknown", "no answer")]

    def left_by(record):
        return tuple(map(answers.pop(), really(record))) if answers else really(record)

    monkeypatch.setattr(room.examiner, "left_by", left_by)
    fire(later)
    assert answers == []
    assert not dead(child)
    fire(later)
    until(lambda: dead(child), "its end")


def test_one_that_is_to_stay_keeps_the_group(room, groups, wrapper, later):
    child = bear(room, groups, wrapper)
    become_quiet = "null = os.open(os.devnull, os.O_RDWR); [os.dup2(null, fd) for fd in range(3)]; "
    quiet = bear(room, groups, wrapper, become_quiet + SLEEP)
    room.ledger.ran_nohup(quiet)
    die(room, wrapper)
    while later:
        fire(later)
    assert not any(map(dead, (child, quiet)))
    assert room.told(CleanedUp) == []


def test_while_nothing_may_be_ended_nothing_is(room, groups, wrapper, later, restraint):
    child = bear(room, groups, wrapper)
    die(room, wrapper)
    restraint.why = "a person has paused Sentinel"
    fire(later)
    assert room.told(CleanedUp) == []
    assert not dead(child)


def test_a_run_without_a_group_is_not_looked_at_again(room, later):
    puppet = room.start()
    room.open(puppet.pid, Kind.RUN, "api")
    die(room, puppet)
    assert later == []


def test_a_group_of_another_name_is_not_looked_at_again(room, groups, later):
    puppet = room.start()
    room.open(puppet.pid, Kind.RUN, "api", scope=groups.make_panes())
    die(room, puppet)
    assert later == []


def test_the_group_of_a_closed_session_is_taken_away(room, groups, wrapper, later):
    session = room.ledger.rooted_at(wrapper.pid)
    directory = groups.top / os.path.basename(session.scope)
    assert directory.exists()
    room.bus.publish(SessionClosed(session))
    assert not directory.exists()
