"""Whose a process is, told by the control group that tmux has made for its pane: real groups, made by hand."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sentinel.core.events import SessionDied, SessionOpened
from sentinel.core.facts import Unknown
from sentinel.core.ledger import Witness
from sentinel.core.sessions import Kind
from sentinel.core.verdicts import Condemned, Spared
from sentinel.handlers.scopes import Scopes
from sentinel.observe import processes
from tests.handlers.room import becomes, becoming, born, dead, killed, until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"),
    pytest.mark.namespace,
    pytest.mark.usefixtures("groups"),
]

SLEEP = "os.execv('/bin/sleep', ['sleep', '60'])"


@pytest.fixture
def later():
    return []


@pytest.fixture
def discovery(room, later):
    return room.discover(later=lambda delay, call, *arguments: later.append((delay, call, arguments)))


@pytest.fixture
def scopes(room, later, discovery):
    return Scopes(
        room.bus,
        ledger=room.ledger,
        handles=room.handles,
        bookkeeper=room.bookkeeper,
        openings=room.openings,
        later=lambda delay, call, *arguments: later.append((delay, call, arguments)),
    )


@pytest.fixture
def pane(room, groups, scopes):
    """The shell of a pane, in the scope of it."""
    shell = room.start()
    groups.move(shell.pid, groups.make_panes())
    watch(room, shell)
    return shell


def watch(room, shell, kind=Kind.PANE):
    room.bus.publish(SessionOpened(room.open(shell.pid, kind, "%1"), "found"))


def record(room, shell):
    key = room.ledger.rooted_at(shell.pid).key
    return room.ledger.record(key)


def lose(shell, script=SLEEP):
    """Have it bear one that has lost its parent by now. Nobody is told of either birth."""
    between, lost = shell.bear_through(script)
    assert shell.do(f"os.waitpid({between}, 0)[0]") == between
    return lost


def test_the_scope_of_a_pane_is_learnt_when_it_opens(room, pane, groups, later):
    assert record(room, pane).session.scope.startswith(f"/{groups.top.name}/tmux-spawn-")
    assert later == []


def test_a_pane_that_gets_its_scope_a_little_later_is_looked_at_again(room, groups, scopes, later):
    shell = room.start()
    watch(room, shell)
    assert record(room, shell).session.scope == ""
    scope = groups.make_panes()
    groups.move(shell.pid, scope)
    for _, call, arguments in later:
        call(*arguments)
    assert record(room, shell).session.scope == scope


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.PANE])
def test_whoever_else_starts_in_a_pane_does_not_own_its_scope(room, groups, scopes, later, kind):
    shell = room.start()
    groups.move(shell.pid, groups.make_panes())
    watch(room, shell, kind)
    assert record(room, shell).session.scope == ""
    assert later == []


def test_what_was_born_unseen_and_lost_its_parent_is_proven_by_where_it_stands(room, pane, scopes):
    lost = lose(pane)
    becomes(lost, "sleep")
    scopes.look()
    member = room.ledger.member(lost)
    assert room.owner(lost) == record(room, pane).session.key
    assert member.witness is Witness.SCOPE
    assert (member.left.clean, member.left.forked_only) == (None, None)
    assert abs(member.since - born(lost)) < 0.05
    assert room.handles.fd(member.id) is not None


def test_it_is_found_before_the_dead_pane_is_judged(room, pane):
    lost, between = lose(pane), lose(pane, "letting_go()")
    becomes(lost, "sleep")
    until(lambda: dead(between), "the end of the one that let a daemon go")
    session = record(room, pane).session
    pane.end()
    room.bookkeeper.look_after()
    assert room.told(SessionDied)
    verdicts = {v.id.pid: type(v) for v in room.examiner.left_by(room.ledger.record(session.key))}
    assert verdicts.pop(lost) is Condemned
    assert list(verdicts.values()) == [Spared]  # daemonised on purpose, as far as anybody can tell


def test_mercy_an_agent_that_is_found_there_is_in_doubt_while_nobody_can_tell_what_it_is(
    room, pane, program, monkeypatch
):
    """It may be at work: it is judged with the pane by the very event that has it found."""
    agent, lost = lose(pane, becoming(program("codex"), "codex")), lose(pane)
    becomes(agent, "codex")
    becomes(lost, "sleep")
    sighted = processes.program
    monkeypatch.setattr(
        processes, "program", lambda pid: Unknown("what it runs", "nobody told") if pid == agent else sighted(pid)
    )
    session = record(room, pane).session
    pane.end()
    room.bookkeeper.look_after()
    verdicts = room.examiner.left_by(room.ledger.record(session.key))
    assert {v.id.pid: type(v) for v in verdicts} == {lost: Condemned, agent: Spared}


def test_mercy_an_agent_that_is_found_there_is_a_session_of_its_own(room, pane, program):
    agent = lose(pane, becoming(program("codex"), "codex"))
    becomes(agent, "codex")
    session = record(room, pane).session
    pane.end()
    room.bookkeeper.look_after()
    assert room.ledger.rooted_at(agent).outer == session.key
    assert room.examiner.left_by(room.ledger.record(session.key)) == ()


def test_what_hangs_under_one_that_is_known_is_its_child(room, pane, scopes):
    child = pane.do(f"bear({SLEEP!r})")
    lost = lose(pane, "bear(); time.sleep(60)")
    (below,) = until(lambda: processes.children(lost), "its child")
    scopes.look()
    assert {pid: room.ledger.member(pid).witness for pid in (child, lost, below)} == {
        child: Witness.LOOK,
        lost: Witness.SCOPE,
        below: Witness.LOOK,
    }
    assert room.ledger.member(below).parent == lost


def test_a_unit_of_its_own_inside_is_nobodys(room, pane, groups, scopes):
    lost = lose(pane)
    scope = record(room, pane).session.scope
    groups.move(lost, groups.make(f"{os.path.basename(scope)}/run-r1.scope"))
    scopes.look()
    assert lost not in room.ledger
    assert len(room.handles) == 1


def test_who_left_the_scope_while_it_was_looked_at_is_nobodys(room, pane, groups, scopes, monkeypatch):
    lost = lose(pane)
    take = room.handles.take

    def move_away(pid):
        groups.move(pid, f"/{groups.top.name}")
        return take(pid)

    monkeypatch.setattr(room.handles, "take", move_away)
    scopes.look()
    assert lost not in room.ledger


def test_another_users_process_is_nobodys(room, pane, groups, scopes):
    if os.getuid() != 0:
        pytest.skip("missing: root")
    other = subprocess.Popen(["/bin/sleep", "60"], user=12345)
    becomes(other.pid, "sleep")
    groups.move(other.pid, record(room, pane).session.scope)
    scopes.look()
    assert other.pid not in room.ledger
    other.kill()
    other.wait()


def test_what_another_session_owns_stays_its_own(room, pane, scopes):
    inner = pane.do("bear()")
    room.forked(pane.pid, inner)
    session = room.open(inner, name="codex")
    scopes.look()
    assert room.owner(inner) == session.key


def test_without_a_scope_nobody_is_asked(room, scopes, monkeypatch):
    shell = room.start()
    watch(room, shell)
    monkeypatch.setattr("sentinel.observe.cgroups.processes_in", None)
    scopes.look()
    room.bus.publish(SessionDied(record(room, shell).session, killed()))
    assert room.told(SessionDied)
    assert not [event for event in room.events if type(event).__name__ == "HandlerFailed"]
