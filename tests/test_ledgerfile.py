"""The ledger's file: what was written is read, and nothing else is believed."""

from __future__ import annotations

import json
import os
import stat

import pytest

from sentinel import atomic, ledgerfile
from sentinel.core.facts import Death, Departure, ProcessId
from sentinel.core.ledger import Member, Witness
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.core.snapshot import Saved

BOOT = "a boot"
ROOT = ProcessId(100, 1000)
SESSION = Session(
    Kind.OVERMIND,
    "shop \N{SNOWMAN} \udce9",  # a title that is no UTF-8 on the disk
    ROOT,
    outer="tmux-3@7",
    directory="/home/you/shop\n",
    born=17.5,
    belongings=Belongings((SocketMark("/s/\udcff", 1, 2), SocketMark("/t")), ("/d",), "shop", "/scripts"),
    sid=99,
    command=101,
)
MEMBERS = (
    Member(ROOT, SESSION.key, 0, Witness.ROOT, 1.0, children={101}),
    Member(
        ProcessId(101, 1010),
        SESSION.key,
        100,
        Witness.FORK,
        2.0,
        manager_server=True,
        executed=True,
        nohup=True,
        kept=True,
        left=Departure(3.0, clean=False, forked_only=True),
    ),
)
LIVING = Saved(SESSION, MEMBERS)
DEAD = Saved(Session(Kind.RUN, "make", ProcessId(7, 70)), (), Death(5.0, 9), settled=True, files_kept=True)


@pytest.fixture
def path(where):
    return where.ledger


def test_what_was_written_is_read(path):
    ledgerfile.write(path, ledgerfile.encode((LIVING, DEAD), BOOT))
    assert ledgerfile.read(path, BOOT) == (LIVING, DEAD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_names_as_most_are_take_the_short_way(path):
    content = ledgerfile.encode((DEAD,), BOOT)
    ledgerfile.write(path, content)
    assert ledgerfile.read(path, BOOT) == (DEAD,)
    assert b'"version":1' in content  # json.dumps would put a blank there


def test_without_a_file_nothing_was_known(path):
    assert ledgerfile.read(path, BOOT) == ()


def test_what_another_boot_knew_is_of_no_interest(path):
    ledgerfile.write(path, ledgerfile.encode((LIVING,), "another boot"))
    assert ledgerfile.read(path, BOOT) == ()


def content(**change):
    return json.dumps({**json.loads(ledgerfile.encode((DEAD,), BOOT)), **change}).encode()


def session(**change):
    (saved,) = json.loads(ledgerfile.encode((DEAD,), BOOT))["sessions"]
    return content(sessions=[{**saved, **change}])


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"null", "damaged"),
        (b"{}", "damaged"),
        (b"[" * 100_000, "damaged"),
        (content()[:-3], "damaged"),
        (content(sessions=None), "damaged"),
        (content(version="1"), "damaged"),
        (content(version=2), "version 2"),
        (session(members=[{"id": [1]}]), "damaged"),
        (session(death=None), "neither alive nor dead"),
        (session(session={"kind": "something new", "name": "x", "root": [7, 70]}), "damaged"),
    ],
)
def test_what_this_version_would_not_write_is_not_believed(path, raw, why):
    path.write_bytes(raw)
    path.chmod(0o600)
    with pytest.raises(ledgerfile.Unusable, match=why):
        ledgerfile.read(path, BOOT)


def test_what_others_could_have_written_is_not_believed(path):
    ledgerfile.write(path, ledgerfile.encode((LIVING,), BOOT))
    path.chmod(0o620)
    with pytest.raises(ledgerfile.Unusable, match="ours alone"):
        ledgerfile.read(path, BOOT)
    path.chmod(0o600)
    if os.getuid() == 0:
        os.chown(path, 12345, -1)
        with pytest.raises(ledgerfile.Unusable, match="uid 12345"):
            ledgerfile.read(path, BOOT)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("elsewhere", path)])
def test_what_is_no_file_is_not_believed_and_nobody_waits_for_it(path, make):
    path.with_name("elsewhere").write_bytes(content())
    make(path)
    with pytest.raises(ledgerfile.Unusable):
        ledgerfile.read(path, BOOT)


def test_a_monster_is_not_read(path, monkeypatch):
    monkeypatch.setattr(ledgerfile, "_LARGEST", 100)
    path.write_bytes(content())
    path.chmod(0o600)
    with pytest.raises(ledgerfile.Unusable, match="larger"):
        ledgerfile.read(path, BOOT)


def test_what_cannot_be_replaced_is_not_left_to_be_believed(path, monkeypatch):
    ledgerfile.write(path, ledgerfile.encode((LIVING,), BOOT))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "replace_file", full)
    with pytest.raises(OSError, match="No space"):
        ledgerfile.write(path, ledgerfile.encode((DEAD,), BOOT))
    assert ledgerfile.read(path, BOOT) == ()
