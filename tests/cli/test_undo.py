"""`sentinel undo`: what a person types who wants something back."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from sentinel.cli.undo import command
from sentinel.errors import NoSuchThing
from sentinel.reaper.returns import CannotReturn
from tests.handlers.room import moves_files
from tests.reaper.test_returns import file, place, remove  # noqa: F401 - place is a fixture

pytestmark = [moves_files, pytest.mark.usefixtures("here")]


def undo(*words, fails=None):
    done = CliRunner().invoke(command, [str(word) for word in words])
    if fails is not None:
        assert isinstance(done.exception, fails), done.output
        return str(done.exception)
    assert done.exception is None, done.output
    return done.stdout


@pytest.fixture
def removed(place, where):  # noqa: F811 - the fixture
    """Two files that were removed, the second one last."""
    for name in ("one", "two"):
        file(place / name)
        remove(place / name, where.quarantine)
    return place / "one", place / "two"


def test_the_last_thing_comes_back_and_the_journal_tells(removed, where):
    one, two = removed
    assert undo() == f"{two} is there again.\n"
    assert two.exists()
    assert not one.exists()
    (record,) = [json.loads(line) for line in where.journal.read_text().splitlines()]
    assert record["type"] == "dev.sentinel.file.returned"
    assert record["data"]["path"] == str(two)


def test_by_its_path_or_its_id(removed):
    one, two = removed
    undo(one)
    (entry,) = json.loads(undo("--list", "--json"))
    assert entry["path"] == str(two)
    assert json.loads(undo("--json", entry["id"]))["path"] == str(two)
    assert one.exists()
    assert two.exists()


def test_the_list_says_what_when_and_why(removed):
    lines = undo("--list").splitlines()
    assert [str(path) in line for path, line in zip(removed, lines, strict=True)] == [True, True]
    assert "its holder, process 4231, has ended" in lines[0]


def test_what_is_not_there_is_said(removed):
    assert "nothing called /nowhere" in undo("/nowhere", fails=NoSuchThing)
    assert "any of 2" in undo("2", fails=NoSuchThing)
    undo()
    undo()
    assert undo("--list") == "Nothing was removed lately.\n"
    assert "nothing was removed" in undo(fails=NoSuchThing)


def test_nothing_is_overwritten_and_nothing_is_lost(removed):
    two = removed[1]
    two.write_text("another's")
    assert "something else is there" in undo(two, fails=CannotReturn)
    assert two.read_text() == "another's"
    two.unlink()
    undo(two)
    assert two.read_text() == "4231\n"
