"""Sockets that the processes of sessions are seen to have: real processes, real sockets."""

from __future__ import annotations

import os
import sys

import pytest

from sentinel.core.events import SocketsFound
from sentinel.core.sessions import Belongings, Kind, SocketMark
from sentinel.handlers.bound_sockets import BoundSockets
from sentinel.observe.tmux import TmuxServer

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def later():
    """What was asked to be done later."""
    return []


@pytest.fixture
def bound(room, later):
    return BoundSockets(room.bus, room.ledger, lambda delay, call, *arguments: later.append((delay, call, arguments)))


@pytest.fixture
def manager(room, tmp_path):
    """The root of a session that says that it has a socket ``told``."""
    manager = room.start()
    told = SocketMark(str(tmp_path / "told"))
    room.open(manager.pid, Kind.OVERMIND, "shop", belongings=Belongings((told,), (), "shop", "/scripts"))
    return manager


@pytest.fixture
def found(room):
    """Keys of the sessions of which sockets were told to be found."""
    found = []
    room.bus.subscribe(SocketsFound, lambda event: found.append(event.key))
    return found


def listens(manager, path):
    manager.do(f"(it := __import__('socket').socket(1), it.bind({str(path)!r}), it.listen(), 1)[-1]")


def belongings(room, manager):
    return room.ledger.rooted_at(manager.pid).belongings


def test_a_socket_that_nobody_announced_is_learnt(room, bound, manager, found, tmp_path):
    listens(manager, tmp_path / "other")
    bound.look(manager.pid)
    assert [mark.path for mark in belongings(room, manager).sockets] == [
        str(tmp_path / "told"),
        str(tmp_path / "other"),
    ]
    assert found == [room.ledger.rooted_at(manager.pid).key]


def test_what_is_known_already_is_not_told_again(room, bound, manager, found, tmp_path):
    listens(manager, tmp_path / "told")
    bound.look(manager.pid)
    bound.look(manager.pid)
    assert [mark.inode for mark in belongings(room, manager).sockets] == [os.lstat(tmp_path / "told").st_ino]
    assert len(found) == 1


def test_it_is_looked_three_times_after_a_birth(room, bound, manager, later, tmp_path):
    bound.look_later(manager.pid)
    assert [delay for delay, _, _ in later] == [0.05, 0.5, 3.0]
    listens(manager, tmp_path / "told")
    for _, call, arguments in later:
        call(*arguments)
    assert belongings(room, manager).sockets[0].inode is not None


def test_of_one_that_is_gone_nothing_is_learnt(room, bound, manager, found):
    room.keep_books()
    before = room.ledger.rooted_at(manager.pid)
    manager.end()
    bound.look(manager.pid)
    room.bookkeeper.look_after()
    bound.look(manager.pid)
    bound.look(2**22)
    assert room.ledger.record(before.key).session == before
    assert found == []


def test_of_a_session_that_is_dead_nothing_more_is_learnt_though_some_of_it_live(room, bound, manager, found, tmp_path):
    """What they bind is theirs, not what the session said that it would leave."""
    room.keep_books()
    script = (
        f"s = __import__('socket').socket(1); s.bind({str(tmp_path / 'other')!r}); s.listen(); ready(); time.sleep(60)"
    )
    child = room.forked(manager.pid, manager.do(f"bear({script!r})"))
    before = room.ledger.rooted_at(manager.pid)
    manager.end()
    room.bookkeeper.look_after()
    bound.look(child)
    assert room.ledger.record(before.key).session == before
    assert found == []


@pytest.mark.parametrize("socket", [None, SocketMark("/run/s", 1, 2)])
def test_an_overmind_has_the_socket_and_the_directory_of_its_server(room, bound, manager, socket):
    session = room.ledger.rooted_at(manager.pid)
    bound.add_server(session, TmuxServer(socket, "overmind-shop-x", is_overminds=True))
    assert belongings(room, manager).sockets == (*session.belongings.sockets, *([socket] if socket else []))
    assert belongings(room, manager).directories == ("/scripts/overmind-shop-x",)
