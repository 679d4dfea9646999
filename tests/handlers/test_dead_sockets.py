"""tmux's directory, with dead sockets in it and all that must stay."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from dataclasses import replace

import pytest

from sentinel.core.actions import RemoveSocket, Result
from sentinel.core.events import AgentStarted, LookDue, SessionDied, SocketsSwept
from sentinel.core.facts import Death
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.core.verdicts import Stale
from sentinel.handlers import dead_sockets
from sentinel.handlers.dead_sockets import DeadSockets
from sentinel.observe import processes
from sentinel.reaper import removals, returns
from sentinel.reaper.quarantine import moment
from tests.handlers.room import HANG, moves_files
from tests.lab.elsewhere import listening_elsewhere

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace, moves_files]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """tmux's own directory."""
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    directory = tmp_path / f"tmux-{os.getuid()}"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def swept(room, place):
    """Sweep when this is published, and say what came of it."""
    calls = []
    keeper = DeadSockets(
        room.bus,
        ledger=room.ledger,
        journal=room.journal,
        policy=room.wishes,
        later=lambda _, call, *words: calls.append((call, words)),
        quarantine=room.where.quarantine,
    )

    def swept(event):
        async def scenario():
            room.bus.publish(event)
            while calls:
                call, words = calls.pop(0)
                call(*words)
            await asyncio.wait_for(keeper.close(), HANG)

        room.events.clear()
        asyncio.run(scenario())
        return [(event.removed, len(event.kept)) for event in room.told(SocketsSwept)]

    return swept


STARTED = AgentStarted("1", "polling")


def dead(path, age=60.0):
    with bound(path):
        pass
    os.utime(path, (time.time() - age,) * 2)


def bound(path):
    owner = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(path.parent)  # the whole path may be too long for a socket's
    owner.bind(path.name)
    os.chdir(here)
    return owner


def put_back(room, path):
    """Have it removed as that of a session that has died, and put back by a person."""
    status = os.lstat(path)
    stale = Stale(str(path), status.st_dev, status.st_ino, ("its owner has ended",))
    session = Session(Kind.TMUX, "x", processes.identify(os.getpid()))
    assert removals.remove(RemoveSocket(session, stale), room.where.quarantine).result is Result.REMOVED
    (kept,) = returns.kept(room.where.quarantine, moment())
    returns.put_in_place(room.where.quarantine, kept)


@pytest.mark.parametrize("event", [STARTED, LookDue("it is time")])
def test_dead_sockets_are_swept_with_one_intent_and_one_word(room, place, swept, event):
    for number in range(300):
        dead(place / f"s{number}")
    assert swept(event) == [(300, 0)]
    assert os.listdir(place) == []
    journal = room.where.journal.read_text()
    assert journal.count('"action":"sweep sockets"') == 1
    assert f"{place}" in journal
    assert swept(event) == []  # there is nothing to say of nothing


def test_at_the_death_of_a_server_its_directory_is_swept_also_when_it_is_another_one(room, tmp_path, swept):
    other = tmp_path / "mine" / "tmux-7"
    other.mkdir(parents=True, mode=0o700)
    dead(other / "old")
    dead(other / "its-own")
    socket = SocketMark(str(other / "its-own"))
    server = Session(Kind.TMUX, "x", processes.identify(os.getpid()), belongings=Belongings((socket,)))
    room.ledger.open(server, 0.0).death = Death(0.0, 9)
    assert swept(SessionDied(server, Death(0.0, 9))) == [(1, 0)]
    assert os.listdir(other) == ["its-own"]  # others see to that


def test_a_directory_that_is_not_of_tmux_is_not_swept(room, tmp_path, swept):
    other = tmp_path / "project"
    other.mkdir()
    dead(other / "app.sock")
    belongings = Belongings((SocketMark(str(other / "t.sock")),))
    server = Session(Kind.TMUX, "x", processes.identify(os.getpid()), belongings=belongings)
    assert swept(SessionDied(server, Death(0.0, 9))) == []
    assert os.listdir(other) == ["app.sock"]


@pytest.mark.parametrize("spared", ["bound", "listening", "young", "a session's", "no socket", "paused", "put back"])
def test_these_stay(room, place, swept, spared):
    """Each is a dead socket but for one thing."""
    path, keep = place / "s", None
    match spared:
        case "bound" | "listening":
            keep = bound(path)
            if spared == "listening":
                keep.listen()
            os.utime(path, (time.time() - 60,) * 2)
        case "young":
            dead(path, age=0.0)
        case "a session's":
            dead(path)
            belongings = Belongings((SocketMark(str(path)),))
            room.ledger.open(Session(Kind.TMUX, "x", room.start().who, belongings=belongings), 0.0)
        case "no socket":
            path.write_text("")
            os.utime(path, (time.time() - 60,) * 2)
        case "paused":
            dead(path)
            room.policy = replace(room.policy, held="it is paused")
        case "put back":
            dead(path)
            put_back(room, path)
    assert swept(STARTED) == []
    assert os.listdir(place) == ["s"]
    if keep is not None:
        keep.close()


def test_one_whose_owner_is_in_another_network_namespace_stays(place, swept):
    """Its kernel table shows nobody bound to it, but somebody answers."""
    with listening_elsewhere(place / "s"):
        os.utime(place / "s", (time.time() - 60,) * 2)
        assert swept(STARTED) == []
        assert os.listdir(place) == ["s"]
    assert swept(STARTED) == [(1, 0)]


def test_one_that_comes_to_life_between_judgement_and_removal_stays(room, place, swept, monkeypatch):
    dead(place / "s")
    judge = dead_sockets.deserted

    def then_somebody_makes_it_anew(path, *more):
        verdict = judge(path, *more)
        os.rename(path, f"{path}-before")
        anew.append(bound(place / "s"))
        return verdict

    anew = []
    monkeypatch.setattr(dead_sockets, "deserted", then_somebody_makes_it_anew)
    assert swept(STARTED) == [(0, 1)]
    (event,) = room.told(SocketsSwept)
    assert event.kept[0].result is Result.REFUSED
    assert (place / "s").is_socket()
    anew[0].close()


def test_nothing_is_swept_that_cannot_be_recorded(room, place, swept, monkeypatch):
    from sentinel.errors import JournalUnwritable

    def full(*_):
        raise JournalUnwritable("no space")

    monkeypatch.setattr(room.journal, "intend", full)
    dead(place / "s")
    assert swept(STARTED) == []
    assert os.listdir(place) == ["s"]
