"""The switches in their file: written whole, read with suspicion, and never taken for "nothing was said"."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time

import pytest

from sentinel import switches
from sentinel.core.facts import ProcessId
from sentinel.core.switches import Halt, Keep, Switches
from sentinel.switches import SwitchBoard

SERVER = Keep(ProcessId(4231, 7), "node")
PAUSE = Halt(17.0, "a person has paused Sentinel")


def paused(switches):
    return Switches(switches.kept, PAUSE, switches.breaker)


def keeping(switches):
    return switches.keeping([SERVER])


@pytest.fixture
def path(where):
    return where.switches


@pytest.fixture
def board(path):
    return SwitchBoard(path, "boot")


def test_without_a_file_nothing_is_held_and_nobody_kept(board):
    assert board.now() == Switches()
    assert board.held() == ""


def test_what_one_writes_the_next_one_finds(board, path):
    board.change(keeping)
    board.change(paused)
    assert SwitchBoard(path, "boot").now() == Switches((SERVER,), PAUSE)
    assert SwitchBoard(path, "boot").held() == "a person has paused Sentinel"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == [path.name]


def test_another_ones_word_is_heard_at_once(board, path):
    assert board.held() == ""
    SwitchBoard(path, "boot").change(paused)
    assert board.held()
    SwitchBoard(path, "boot").change(Switches.going_on)
    assert board.held() == ""


def test_two_that_write_lose_nothing_of_one_another(board, path):
    other = SwitchBoard(path, "boot")
    other.now()
    board.change(keeping)
    assert other.change(paused) == Switches((SERVER,), PAUSE)


def test_after_a_reboot_nobody_is_kept_but_a_pause_holds(board, path):
    board.change(keeping)
    board.change(paused)
    assert SwitchBoard(path, "another").now() == Switches((), PAUSE)


def test_nothing_is_written_when_nothing_changes(board, path):
    board.change(lambda switches: switches)
    assert not path.exists()


HELD = b'{"version":1,"boot":"boot","switches":{"pause":{%b}}}'

DAMAGED = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "of a later version": lambda path: path.write_bytes(path.read_bytes().replace(b'"version":1', b'"version":2')),
    "not text": lambda path: path.write_bytes(b"\xff\xfe"),
    "deep": lambda path: path.write_bytes(b"[" * 9000),
    "a link": lambda path: (path.unlink(), path.symlink_to("elsewhere")),
    "a directory": lambda path: (path.unlink(), path.mkdir()),
    "held for ever and ever": lambda path: path.write_bytes(HELD % b'"since":1,"why":"a","until":1e308'),
    "held since before time": lambda path: path.write_bytes(HELD % b'"why":"a","since":-1e308'),
    "held for no reason": lambda path: path.write_bytes(HELD % b'"since":1,"why":""'),
    "of another shape": lambda path: path.write_bytes(b'{"version":1,"boot":"boot","switches":{"kept":3}}'),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_while_it_cannot_be_understood_nothing_may_be_ended(board, path, damage):
    board.change(keeping)
    DAMAGED[damage](path)
    for one in (board, SwitchBoard(path, "boot")):
        assert one.held().startswith(f"nobody can tell what was to be kept: {path} cannot be understood")
        assert one.held().isprintable()


@pytest.mark.parametrize("told_by", ["its mode", "the system"])
def test_what_could_not_be_read_once_is_read_again(board, path, monkeypatch, told_by):
    """Nothing of the file need be another by then: it would hold for ever."""
    SwitchBoard(path, "boot").change(keeping)
    with monkeypatch.context() as there:
        if told_by == "its mode":
            path.chmod(0o666)
        else:  # no file is left to be opened, or its server does not answer
            there.setattr(switches, "read_file", lambda *_: (_ for _ in ()).throw(OSError(24, "Too many open files")))
        assert "cannot be understood" in board.held()
    path.chmod(0o600)
    assert board.now() == Switches((SERVER,))
    board.change(paused)
    assert not path.with_suffix(".damaged").exists()


def test_a_good_file_that_was_not_to_be_seen_for_a_moment_is_not_set_aside(board, path, monkeypatch):
    """Its stamp is the same afterwards, so nobody reads it again."""
    board.change(keeping)
    with monkeypatch.context() as there:
        there.setattr(switches.os, "stat", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        assert "Input/output error" in board.held()
    board.change(paused)
    assert board.now() == paused(Switches((SERVER,)))
    assert not path.with_suffix(".damaged").exists()


def test_a_damaged_file_is_set_aside_when_somebody_writes_and_goes_on_holding(board, path):
    path.write_text("{")
    board.change(keeping)
    assert path.with_suffix(".damaged").read_text() == "{"
    later = SwitchBoard(path, "boot")
    assert later.now().kept == (SERVER,)
    assert "cannot be understood" in later.held()
    later.change(Switches.going_on)
    assert later.held() == ""


def test_what_cannot_be_written_holds_all_the_same(where):
    board = SwitchBoard(where.state / "nowhere" / "switches.json", "boot")
    assert board.change(paused).pause == PAUSE
    assert board.held()
    assert board.trouble.endswith("switches.json cannot be written: No such file or directory")
    board.change(Switches.going_on)
    assert board.held() == ""


def test_a_full_disk_leaves_what_was_there(board, path, monkeypatch):
    board.change(keeping)
    # A stand-in for ENOSPC at the flush: a real full disk is tried in tests/real/test_trouble.py for the journal.
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    board.change(paused)
    assert board.held()
    assert board.trouble.endswith("No space left on device")
    assert SwitchBoard(path, "boot").now() == Switches((SERVER,))
    assert os.listdir(path.parent) == [path.name]


def test_a_writer_that_is_stuck_in_its_turn_stops_nobody(board, path):
    script = f"import fcntl, os; fcntl.flock(os.open({str(path.parent)!r}, 0), 2); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stuck:
        stuck.stdout.readline()
        began = time.monotonic()
        board.change(paused)
        assert time.monotonic() - began < 10
        assert board.held()
        assert "another process keeps it locked" in board.trouble
        stuck.communicate(b"\n")
    board.change(keeping)
    assert board.trouble == ""
    assert SwitchBoard(path, "boot").now() == Switches((SERVER,), PAUSE)
