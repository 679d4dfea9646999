"""Socket files that nobody holds, among those that somebody does."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from sentinel.core.actions import RemoveSocket, Result
from sentinel.core.verdicts import Stale
from sentinel.doctor.sockets import stale_sockets
from sentinel.reaper import removals, returns
from sentinel.reaper.quarantine import moment
from tests.handlers.room import moves_files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


@pytest.fixture
def tmux(tmp_path, monkeypatch):
    folder = tmp_path / f"tmux-{os.geteuid()}"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    return folder


@pytest.fixture
def bind():
    """Binds sockets. Old ones, unless it is said how old."""
    living = []

    def bind(path, *, stays=False, age=3600.0, kind=socket.SOCK_STREAM):
        one = socket.socket(socket.AF_UNIX, kind)
        one.bind(str(path))
        if stays == "listening":
            one.listen()
        status = os.stat(path)
        os.utime(path, (status.st_atime - age, status.st_mtime - age))
        living.append(one) if stays else one.close()

    yield bind
    for one in living:
        one.close()


def paths(*directories, quarantine=Path("/not/there"), **options):
    found = stale_sockets(os.geteuid(), [str(directory) for directory in directories], quarantine, **options)
    return [session.belongings.sockets[0].path for session in found]


def test_the_dead_are_found_and_no_others(tmux, bind, tmp_path):
    bind(tmux / "dead")
    bind(tmux / "listening", stays="listening")
    bind(tmux / "bound", stays="bound")
    bind(tmux / "datagram", stays="bound", kind=socket.SOCK_DGRAM)
    bind(tmux / "fresh", age=0)
    (tmux / "file").write_text("")
    (tmux / "link").symlink_to(tmux / "dead")
    bind(tmp_path / ".overmind.sock")
    bind(tmp_path / "other.sock")
    assert paths(tmp_path, "/not/there") == [str(tmux / "dead"), str(tmp_path / ".overmind.sock")]


def test_an_age_narrows_it(tmux, bind):
    bind(tmux / "hour")
    bind(tmux / "day", age=86400)
    assert paths(older_than=7200) == [str(tmux / "day")]


def test_each_says_whose_it_was(tmux, bind, tmp_path):
    bind(tmux / "work")
    shop = tmp_path / "shop"
    shop.mkdir()
    bind(shop / ".overmind.sock")
    titles = [session.title for session in stale_sockets(os.geteuid(), [str(shop)], tmp_path / "none")]
    assert titles == ['tmux server "work"', 'Overmind "shop"']


def test_another_users_are_not_looked_at(tmux, bind, tmp_path):
    bind(tmux / "dead")
    assert stale_sockets(os.geteuid() + 1, [], tmp_path / "none") == []


def test_where_nobody_can_tell_who_is_bound_nothing_is_stale(tmux, bind, monkeypatch):
    from sentinel.core.facts import Unknown
    from sentinel.doctor import sockets

    bind(tmux / "dead")
    monkeypatch.setattr(sockets.sockets, "bound_inodes", lambda: Unknown("which sockets are bound", "a test says so"))
    assert paths() == []


def test_who_answers_from_another_network_is_there(tmux, bind, monkeypatch):
    """The kernel tells of this network namespace only, so whoever is in no table is called as well."""
    from sentinel.doctor import sockets

    bind(tmux / "dead")
    monkeypatch.setattr(sockets.sockets, "answers", lambda _: True)
    assert paths() == []


@moves_files
def test_mercy_what_a_person_put_back_is_not_offered(tmux, bind, tmp_path):
    bind(tmux / "wanted")
    bind(tmux / "other")
    quarantine = tmp_path / "quarantine"
    (session,) = [one for one in stale_sockets(os.geteuid(), [], quarantine) if one.name == "wanted"]
    (mark,) = session.belongings.sockets
    action = RemoveSocket(session, Stale(mark.path, mark.device, mark.inode, ("nobody holds it",)))
    assert removals.remove(action, quarantine).result is Result.REMOVED
    returns.put_in_place(quarantine, returns.kept(quarantine, moment())[0])
    assert paths(quarantine=quarantine) == [str(tmux / "other")]
