"""What ``test_discovery`` does not see: openings that nobody recognised."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sentinel.core.events import BORN, FOUND, REGISTERED, SessionOpened
from sentinel.core.facts import ProcessId
from sentinel.core.sessions import Kind, Session
from sentinel.observe import processes
from tests.handlers.room import until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def openings(room):
    room.keep_books()
    return room.openings


def session_of(openings, pid):
    return Session(Kind.REGISTERED, "x", openings.take(pid))


def test_a_session_is_opened_once_with_what_its_root_has_borne(room, openings):
    root = room.start()
    child = root.do("bear()")
    session = openings.open(session_of(openings, root.pid), REGISTERED)
    assert session.sid == root.pid
    assert room.owner(child) == session.key
    assert root.who in room.exits.now
    assert openings.open(session_of(openings, root.pid), REGISTERED) == session
    assert [event.session for event in room.told(SessionOpened)] == [session]


def test_one_that_is_opened_around_others_has_them_inside_of_it(room, openings):
    outer, elsewhere = room.start(), room.start()
    child = outer.do("bear()")
    within = openings.open(session_of(openings, child), REGISTERED)
    without = openings.open(session_of(openings, elsewhere.pid), REGISTERED)
    around = openings.open(session_of(openings, outer.pid), REGISTERED)
    assert room.ledger.record(within.key).session.outer == around.key
    assert room.ledger.record(without.key).session.outer == around.outer == ""


def test_one_that_is_found_under_a_living_session_is_inside_of_it(room, openings):
    """Nobody saw who bore it; but whatever falls to a subreaper was born below that."""
    outer = room.start()
    assert outer.do("__import__('ctypes').CDLL(None).prctl(36, 1, 0, 0, 0)") == 0  # PR_SET_CHILD_SUBREAPER
    around = openings.open(session_of(openings, outer.pid), REGISTERED)
    _, fallen = outer.bear_through()
    until(lambda: processes.above(fallen).parent == outer.pid)
    assert openings.open(session_of(openings, fallen), REGISTERED).outer == around.key


def test_one_that_was_found_before_is_inside_of_what_is_inside_of_another(room, openings):
    outer, middle = room.start(), room.start()
    within = openings.open(session_of(openings, middle.do("bear()")), REGISTERED)
    around = openings.open(session_of(openings, outer.pid), REGISTERED)
    room.ledger.enter(room.handles.take(middle.pid), outer.pid, 0.0)
    between = openings.open(session_of(openings, middle.pid), REGISTERED)
    assert between.outer == around.key
    assert room.ledger.record(within.key).session.outer == between.key


def test_one_that_has_the_number_of_a_member_that_ended_unheard_is_not_inside_of_that_ones_session(room, openings):
    outer, root = room.start(), room.start()
    around = openings.open(session_of(openings, outer.pid), REGISTERED)
    before = ProcessId(root.pid, root.who.start - 1)
    room.ledger.enter(before, outer.pid, 0.0)
    assert openings.open(session_of(openings, root.pid), REGISTERED).outer == ""
    assert before not in [member.id for member in room.ledger.members(around.key)]


@pytest.mark.parametrize(("how", "then"), [(BORN, BORN), (REGISTERED, FOUND)])
def test_what_comes_in_by_a_look_may_be_a_session_of_its_own(room, openings, how, then):
    found = []
    openings.on_found = lambda *what: found.append(what)
    root = room.start()
    child = root.do("bear()")
    openings.open(session_of(openings, root.pid), how)
    later = root.do("bear()")
    openings.adopt_below(root.pid)
    assert found == [(child, then), (later, FOUND)]


@pytest.mark.parametrize(("owner", "asked"), [(None, 1), (65533, 0)])
def test_what_another_user_runs_is_asked_of_nobody_and_what_anybody_may_run_is(
    room, openings, monkeypatch, owner, asked
):
    found = []
    openings.on_found = lambda *what: found.append(what)
    root = room.start()
    session, child = session_of(openings, root.pid), root.do("bear()")
    sighted = processes.owner
    monkeypatch.setattr(processes, "owner", lambda pid: owner if pid == child else sighted(pid))
    openings.open(session, FOUND)
    assert found == [(child, FOUND)] * asked


def test_the_handle_is_dropped_of_what_came_to_nothing_and_kept_of_a_member(room, openings):
    nothing, root = room.start(), room.start()
    openings.let_go(openings.take(nothing.pid))
    openings.open(session_of(openings, root.pid), REGISTERED)
    openings.let_go(root.who)
    assert room.handles.fd(nothing.who) is None
    assert room.handles.fd(root.who) is not None


def test_a_session_under_one_that_is_kept_is_kept_also_when_nobody_watches_that_one(room, openings):
    shell = room.start()
    room.ledger.wanted = {shell.who}
    child = shell.do("bear()")
    openings.open(session_of(openings, child), REGISTERED)
    assert room.ledger.member(child).kept


def test_another_users_process_is_not_watched(room, openings):
    if (
        os.getuid() != 0
        or subprocess.run([sys.executable, "-c", "import os; os.setuid(65534)"], check=False).returncode
    ):
        pytest.skip("missing: root")
    stranger = subprocess.Popen(
        ["/bin/cat"],
        user=65534,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    until(lambda: processes.owner(stranger.pid) == 65534)
    assert openings.take(stranger.pid) is None
    assert len(room.handles) == 0
    stranger.kill()
    stranger.communicate()
