"""What fits on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from types import SimpleNamespace

import pytest

from sentinel.cli import clean, doctor, screen
from sentinel.core.facts import ProcessId
from sentinel.doctor.check import Trouble

ROWS = [("NAME", "STATE", "DIRECTORY"), ("x", "killed by SIGKILL", "/home/u/shop/api")]


def test_where_there_is_room_nothing_is_cut():
    assert list(screen.table(ROWS, 0, (2, 1))) == list(screen.table(ROWS, 200, (2, 1)))
    head, row = screen.table(ROWS, 0, (2, 1))
    assert head.index("DIRECTORY") == row.index("/home")


def test_cells_give_way_in_their_order():
    _, row = screen.table(ROWS, 36, (2, 1))
    assert row == "x     killed by SIGKILL  …u/shop/api"
    _, row = screen.table(ROWS, 30, (2, 1))
    assert row == "x     killed by S…  …/shop/api"


@pytest.mark.parametrize("columns", [1, 10, 20])
def test_what_does_not_fit_at_all_is_as_narrow_as_it_may_be(columns):
    assert max(map(len, screen.table(ROWS, columns, (2, 1)))) == 4 + 2 + 10 + 2 + 10


def test_lines_are_broken_between_words_only():
    line = "    it removed /a/very-long/path-that-is/never-broken at once"
    assert screen.broken(line, 30, "      ").split("\n") == [
        "    it removed",
        "      /a/very-long/path-that-is/never-broken",
        "      at once",
    ]
    assert screen.broken(line, 0, "") == screen.broken(line, 200, "") == line


def test_lines_that_are_fitted_stand_further_in_where_they_go_on(monkeypatch):
    monkeypatch.setattr(screen, "width", lambda: 20)
    assert list(screen.fitted(["  - its parent has ended", "short"])) == ["  - its parent has\n      ended", "short"]


def test_evidence_is_fitted_and_what_can_be_copied_is_not(monkeypatch):
    """A command that is broken in two is two commands where it is pasted."""
    monkeypatch.setattr(screen, "width", lambda: 24)
    trouble = Trouble("it is a lock that nobody holds", ("its holder has ended",), hint="remove it: rm /a/lock")
    assert list(doctor._about(trouble)) == [
        "  !! it is a lock that nobody holds",
        "       - its holder has\n           ended",
        "       you can: remove it: rm /a/lock",
    ]
    seen = SimpleNamespace(command="sleep 600 # and so on", age=1.0, memory=1)
    proof = SimpleNamespace(id=ProcessId(7, 1), grade="weak", evidence=("its parent has ended",))
    finding = SimpleNamespace(candidate=proof, portrait=seen, why_not="somebody uses it")
    _, row, *evidence = clean._table([finding])
    assert row.endswith("sleep 600 # and so on")
    assert evidence == [
        "            - its parent has\n                ended",
        "            - but: somebody uses\n                it",
    ]


def test_the_width_is_the_terminals_and_none_elsewhere(monkeypatch, tmp_path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 77, 0, 0))
    with os.fdopen(theirs, "w") as terminal, (tmp_path / "file").open("w") as file:
        monkeypatch.setattr("sys.stdout", terminal)
        assert screen.width() == 77
        monkeypatch.setattr("sys.stdout", file)
        assert screen.width() == 0
    os.close(ours)
