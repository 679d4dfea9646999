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


def test_where_no_table_fits_each_row_is_told_by_itself_and_whole():
    rows = [*ROWS, ("y", "alive", "")]
    assert list(screen.table(rows, 28, (2, 1)))[1] == "x     killed by…  …/shop/api"
    assert list(screen.table(rows, 27, (2, 1))) == [
        "NAME x\n    STATE killed by SIGKILL\n    DIRECTORY /home/u/shop/api",
        "NAME y  STATE alive",
    ]
    assert all(" STATE" in row for row in screen.table(rows, 1, (2, 1)))


def test_lines_are_broken_between_words_only():
    line = "    it removed /a/very-long/path-that-is/never-broken at once"
    assert screen.broken(line, 30, "      ").split("\n") == [
        "    it removed",
        "      /a/very-long/path-that-is/never-broken",
        "      at once",
    ]
    assert screen.broken(line, 0, "") == screen.broken(line, 200, "") == line


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("why it died is told by: sentinel explain e4", "why it died is told\n    by:\n    sentinel explain e4"),
        ("one is left, see sentinel sessions; and more", "one is left, see\n    sentinel sessions;\n    and more"),
        ("nothing is ended until `sentinel resume`", "nothing is ended until\n    `sentinel resume`"),
    ],
)
def test_a_command_that_is_to_be_typed_stays_whole(line, broken):
    assert screen.broken(line, 22, "    ") == broken


def test_lines_that_are_fitted_stand_further_in_where_they_go_on(monkeypatch):
    monkeypatch.setattr(screen, "width", lambda **_: 20)
    assert list(screen.fitted(["  - its parent has ended", "short"])) == ["  - its parent has\n      ended", "short"]


def test_evidence_is_fitted_and_what_can_be_copied_is_not(monkeypatch):
    """A command that is broken in two is two commands where it is pasted."""
    monkeypatch.setattr(screen, "width", lambda **_: 24)
    trouble = Trouble("it is a lock that nobody holds", ("its holder has ended",), hint="remove it: rm /a/lock")
    assert list(screen.fitted(doctor._about(trouble))) == [
        "  !! it is a lock that\n      nobody holds",
        "       - its holder has\n           ended",
        "       you can: remove\n           it:\n           rm /a/lock",
    ]
    seen = SimpleNamespace(command="sleep 600 # and so on", age=1.0, memory=1)
    proof = SimpleNamespace(id=ProcessId(7, 1), grade="weak", evidence=("its parent has ended",))
    finding = SimpleNamespace(candidate=proof, portrait=seen, why_not="somebody uses it")
    _, row, *evidence = clean._table([finding])
    assert row == "         7  weak        1s      0 MB\n            sleep 600 #\n            and so on"
    assert list(screen.fitted(evidence)) == [
        "            - its parent has\n                ended",
        "            - but: somebody uses\n                it",
    ]


def test_what_is_said_is_broken_where_its_stream_is_narrow(monkeypatch, capsys):
    monkeypatch.setattr(screen, "width", lambda *, err=False: 20 if err else 0)
    screen.say("one line and another one\n  a second line")
    screen.say("one line and another one\n  a second line", err=True)
    assert capsys.readouterr() == (
        "one line and another one\n  a second line\n",
        "one line and another\n    one\n  a second line\n",
    )


def test_the_width_is_the_terminals_and_none_elsewhere(monkeypatch, tmp_path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 77, 0, 0))
    with os.fdopen(theirs, "w") as terminal, (tmp_path / "file").open("w") as file:
        monkeypatch.setattr("sys.stdout", terminal)
        assert screen.width() == 77
        monkeypatch.setattr("sys.stderr", file)
        assert screen.width(err=True) == 0
        monkeypatch.setattr("sys.stderr", None)
        assert screen.width(err=True) == 0
        monkeypatch.setattr("sys.stdout", file)
        assert screen.width() == 0
    os.close(ours)
