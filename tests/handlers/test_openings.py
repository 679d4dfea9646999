"""What ``test_discovery`` does not see: openings that nobody recognised."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sentinel.core.events import REGISTERED, SessionOpened
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
