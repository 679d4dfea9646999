"""A look at everything: what is found, healed, and left alone."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from sentinel import runs
from sentinel.core.events import EventsLost, LookDue, SessionDied, SessionOpened
from sentinel.core.ledger import Witness
from sentinel.core.sessions import Kind
from sentinel.handlers.run_sessions import RunSessions
from sentinel.handlers.sweep import Sweep
from sentinel.observe import processes
from tests.handlers.room import becomes, dead, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]

SLEEP = "os.execv('/bin/sleep', ['sleep', '60'])"
"""Another program: a child that is still the agent's own would be taken for one."""


def become(*pids):
    """Wait until these are what they are to be."""
    until(lambda: all(processes.comm(pid) == "sleep" for pid in pids))


@pytest.fixture
def sweep(room):
    discovery = room.discover()
    shared = {"ledger": room.ledger, "handles": room.handles, "bookkeeper": room.bookkeeper}
    sessions = RunSessions(
        room.bus,
        room.ledger,
        bookkeeper=room.bookkeeper,
        openings=room.openings,
        runtime=room.where.runtime,
        catch_up=lambda: None,
    )
    return Sweep(
        room.bus,
        **shared,
        discovery=discovery,
        find_runs=sessions.find,
        find_registered=lambda: None,
        find_in_scopes=lambda: None,
        uid=os.getuid(),
    )


@pytest.fixture
def family(room, program):
    """An agent, its child, an agent under that, and its child."""
    outer = room.start(program("claude"))
    command = f"subprocess.Popen(['/bin/sh', '-c', '{program('codex')}; :'], stdin=subprocess.PIPE).pid"
    shell = outer.do(command)
    (inner,) = until(lambda: [link.id.pid for link in processes.descendants(shell)])
    becomes(inner, "codex")
    return outer, shell, inner


def opened(room):
    return [event.session for event in room.told(SessionOpened)]


def test_a_tree_that_is_there_is_found_from_the_top_down(room, sweep, family):
    outer, shell, inner = family
    children = [outer.do(f"bear({SLEEP!r})") for _ in range(3)]
    sweep.look()
    assert [(session.name, session.root.pid) for session in opened(room)] == [("claude", outer.pid), ("codex", inner)]
    assert {event.how for event in room.told(SessionOpened)} == {"found"}
    assert opened(room)[1].outer == opened(room)[0].key
    assert {room.owner(pid) for pid in (shell, *children)} == {opened(room)[0].key}
    assert room.owner(inner) == opened(room)[1].key
    assert {room.ledger.member(pid).witness for pid in children} == {Witness.LOOK}


def test_a_second_look_finds_nothing_new(room, sweep, family):
    sweep.look()
    size, handles = len(room.ledger), len(room.handles)
    room.bus.publish(LookDue("a test"))
    assert len(opened(room)) == 2
    assert (len(room.ledger), len(room.handles)) == (size, handles)


def test_who_lost_its_parent_before_we_came_is_nobodys(room, sweep, program):
    agent = room.start(program("claude"))
    between, orphan = agent.bear_through(SLEEP)
    become(orphan)
    agent.do(f"os.waitpid({between}, 0)[0]")
    sweep.look()
    assert processes.above(orphan).parent == 1
    assert opened(room)[0].root == agent.who
    assert orphan not in room.ledger


def test_what_nobody_watches_is_not_held(room, sweep):
    strangers = [room.start() for _ in range(3)]
    sweep.look()
    assert len(room.ledger) == len(room.handles) == 0
    assert all(puppet.poll() is None for puppet in strangers)


def test_lost_notices_are_made_up_for(room, sweep, family):
    outer, shell, inner = family
    sweep.look()
    unseen = outer.do(f"bear({SLEEP!r})")
    os.kill(inner, signal.SIGKILL)
    until(lambda: dead(shell))  # it ends when its child has
    room.bus.publish(EventsLost("a source", "a test says so"))
    assert [event.session.name for event in room.told(SessionDied)] == ["codex"]
    assert shell not in room.ledger
    assert room.ledger.member(unseen).witness is Witness.LOOK
    assert room.owner(unseen) == opened(room)[0].key


def test_a_copy_that_has_not_become_its_tool_yet_is_no_session(room, sweep, program):
    # Where births are sampled, or seen by a look, a tool's shell may still be the agent it was forked from.
    agent = room.start(program("claude"))
    between, copy = agent.bear_through(between="time.sleep(60)")
    sweep.look()
    assert [session.root for session in opened(room)] == [agent.who]
    assert room.owner(copy) == room.owner(between) == opened(room)[0].key


def test_an_agent_that_a_copy_has_become_is_a_session(room, sweep, program):
    agent = room.start(program("claude"))
    _, copy = agent.bear_through(between="time.sleep(60)")
    inner, _ = agent.bear_through(f"os.execv({program('claude')!r}, ['claude'])", between="time.sleep(60)")
    (inner,) = until(lambda: [link.id.pid for link in processes.descendants(inner)])
    until(lambda: processes.only_forked(inner) is False)
    becomes(inner, "claude")
    sweep.look()
    assert [session.root.pid for session in opened(room)] == [agent.pid, inner]
    assert copy in room.ledger


def test_a_root_that_died_unseen_keeps_what_was_known_to_be_its_own(room, sweep, program):
    agent = room.start(program("claude"))
    known = agent.do(f"bear({SLEEP!r})")
    sweep.look()
    unknown = agent.do(f"bear({SLEEP!r})")
    become(unknown)
    agent.end()
    room.bus.publish(EventsLost("a source", "a test says so"))
    assert [member.id.pid for member in room.ledger.members(opened(room)[0].key)] == [known]
    assert unknown not in room.ledger


def test_wrappers_are_found_by_their_marks_and_marks_of_the_dead_are_taken_away(room, sweep):
    living, gone = room.start(), room.start()
    for puppet in (living, gone):
        mark = runs.Mark(processes.boot_id(), puppet.pid, puppet.who.start, "make", "/")
        runs.write(room.where.runtime, mark)
    other_boot = runs.Mark("another", living.pid + 1000, 5, "make", "/")
    runs.write(room.where.runtime, other_boot)
    gone.end()
    child = living.do("bear()")
    sweep.look()
    assert [(session.kind, session.root) for session in opened(room)] == [(Kind.RUN, living.who)]
    assert [mark.pid for mark in runs.marks(room.where.runtime)] == [living.pid]
    assert room.owner(child) == opened(room)[0].key


def test_a_parent_that_changes_while_we_look_makes_nobody_a_member(room, sweep, program, monkeypatch):
    agent = room.start(program("claude"))
    between, child = agent.bear_through(SLEEP, between=SLEEP)
    become(between, child)
    real = processes.tree

    def tree():
        links = real()
        os.kill(between, signal.SIGKILL)
        agent.do(f"os.waitpid({between}, 0)[0]")
        return links

    monkeypatch.setattr(processes, "tree", tree)
    sweep.look()
    assert opened(room)[0].root == agent.who
    assert child not in room.ledger
    assert between not in room.ledger
