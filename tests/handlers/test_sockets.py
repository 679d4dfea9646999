"""Which file a session's socket is: learnt while it lives."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import replace

import pytest

from sentinel.core.events import (
    EventsLost,
    FileChanged,
    LookDue,
    SessionClosed,
    SessionMoved,
    SessionOpened,
    SocketsFound,
)
from sentinel.core.facts import ProcessId
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.handlers.sockets import SocketKeeper
from tests.handlers.room import killed

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


class Watches:
    """Stands in for the file source: what is watched counts here, not how."""

    def __init__(self):
        self.now = []

    def watch(self, directory):
        self.now.append(directory)
        return True

    def unwatch(self, directory):
        self.now.remove(directory)


@pytest.fixture
def watches(room):
    watches = Watches()
    SocketKeeper(room.bus, room.ledger, watches)
    return watches


def session_at(*paths, pid=4242):
    belongings = Belongings(tuple(SocketMark(str(path)) for path in paths))
    return Session(Kind.OVERMIND, "shop", ProcessId(pid, 7), belongings=belongings)


def begin(room, session):
    room.ledger.open(session, time.monotonic())
    room.bus.publish(SessionOpened(session, "born"))


def marks(room, session):
    return room.ledger.record(session.key).session.belongings.sockets


def bind(path):
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))
    bound.listen()
    return bound


def test_a_socket_is_known_by_its_inode_once_it_is_bound(room, watches, tmp_path):
    session = session_at(tmp_path / "o.sock")
    begin(room, session)
    assert watches.now == [str(tmp_path)]
    assert marks(room, session)[0].inode is None
    with bind(tmp_path / "o.sock"):
        room.bus.publish(FileChanged(str(tmp_path / "o.sock")))
        assert marks(room, session)[0].inode == os.lstat(tmp_path / "o.sock").st_ino


def test_one_whose_binding_was_not_told_is_known_after_the_word_on_the_loss(room, watches, tmp_path):
    session = session_at(tmp_path / "o.sock")
    begin(room, session)
    with bind(tmp_path / "o.sock"):
        room.bus.publish(EventsLost("files", "a test"))
        assert marks(room, session)[0].inode == os.lstat(tmp_path / "o.sock").st_ino


def test_one_that_is_bound_already_is_known_at_once(room, watches, tmp_path):
    with bind(tmp_path / "o.sock"):
        session = session_at(tmp_path / "o.sock")
        begin(room, session)
        assert marks(room, session)[0].inode is not None


def test_what_nobody_living_is_bound_to_is_not_taken_for_its_socket(room, watches, tmp_path):
    with bind(tmp_path / "o.sock"):
        pass
    (tmp_path / "file").write_text("")
    session = session_at(tmp_path / "o.sock", tmp_path / "file")
    begin(room, session)
    for name in ("o.sock", "file", "elsewhere"):
        room.bus.publish(FileChanged(str(tmp_path / name)))
    assert [mark.inode for mark in marks(room, session)] == [None, None]


def test_after_its_death_nothing_new_is_taken_for_its_socket(room, watches, tmp_path):
    session = session_at(tmp_path / "o.sock")
    begin(room, session)
    room.ledger.exited(session.root.pid, killed())
    with bind(tmp_path / "o.sock"):
        room.bus.publish(FileChanged(str(tmp_path / "o.sock")))
    assert marks(room, session)[0].inode is None


def close(room, session):
    room.ledger.close(session.key)
    room.bus.publish(SessionClosed(session))


def test_each_directory_is_watched_once_until_no_session_has_a_socket_there(room, watches, tmp_path):
    first, second = session_at(tmp_path / "a", tmp_path / "b"), session_at(tmp_path / "a", pid=4343)
    begin(room, first)
    begin(room, second)
    assert watches.now == [str(tmp_path)]
    close(room, first)
    assert watches.now == [str(tmp_path)]
    close(room, second)
    assert watches.now == []


def test_the_directory_of_a_socket_that_is_found_later_is_watched_from_then_on(room, watches, tmp_path):
    session = session_at()
    begin(room, session)
    assert watches.now == []
    belongings = Belongings((SocketMark(str(tmp_path / "late.sock")),))
    room.ledger.amend(replace(session, belongings=belongings))
    room.bus.publish(SocketsFound(session.key))
    assert watches.now == [str(tmp_path)]


def test_a_session_that_goes_on_under_another_root_leaves_no_watch_behind(room, watches, tmp_path):
    before = session_at(tmp_path / "o.sock")
    begin(room, before)
    (tmp_path / "moved").mkdir()
    after = session_at(tmp_path / "moved" / "o.sock", pid=4343)
    room.bus.publish(SessionMoved(room.ledger.become(before.key, after), before))
    assert watches.now == [str(tmp_path / "moved")]
    close(room, after)
    assert watches.now == []


def test_what_was_learnt_between_the_birth_and_its_telling_is_kept(room, watches, tmp_path):
    session = session_at(tmp_path / "o.sock")

    def opens(_):
        """As discovery does: the event is published, and waits until this handler is through."""
        room.ledger.open(session, time.monotonic())
        room.bus.publish(SessionOpened(session, "born"))
        known = replace(session.belongings, directories=("/run/overmind-shop",))
        room.ledger.amend(replace(session, belongings=known, command=17))

    room.bus.subscribe(LookDue, opens)
    with bind(tmp_path / "o.sock"):
        room.bus.publish(LookDue("a test"))
    now = room.ledger.record(session.key).session
    assert now.belongings.sockets[0].inode is not None
    assert (now.belongings.directories, now.command) == (("/run/overmind-shop",), 17)
