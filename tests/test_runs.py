"""Marks of wrappers: written whole, read with suspicion."""

from __future__ import annotations

import os
import stat

import pytest

from sentinel import runs
from sentinel.core.facts import ProcessId

MARK = runs.Mark("boot", 4231, 7, "make", "/home/somebody")


def path(runtime, pid=4231):
    return runtime / "runs" / f"{pid}.json"


def test_a_mark_comes_back_as_it_was_written(tmp_path):
    runs.write(tmp_path, MARK)
    assert runs.read(tmp_path, 4231) == MARK
    assert MARK.root == ProcessId(4231, 7)
    assert list(runs.marks(tmp_path)) == [MARK]


def test_only_its_owner_can_read_it(tmp_path):
    before = os.umask(0)
    try:
        runs.write(tmp_path, MARK)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(path(tmp_path).parent.stat().st_mode) == 0o700


def test_writing_again_replaces_it_and_leaves_nothing_else(tmp_path):
    runs.write(tmp_path, MARK)
    later = runs.Mark("boot", 4231, 7, "make", "/home/somebody", command=99)
    runs.write(tmp_path, later)
    assert runs.read(tmp_path, 4231) == later
    assert os.listdir(tmp_path / "runs") == ["4231.json"]


def test_a_mark_is_taken_away_once_and_a_second_time_nothing_happens(tmp_path):
    runs.write(tmp_path, MARK)
    runs.erase(tmp_path, 4231)
    runs.erase(tmp_path, 4231)
    assert runs.read(tmp_path, 4231) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b'{"boot":"b"}',
        b'{"boot":"b","pid":"x","start":1,"name":"n","directory":"/"}',
        b'{"boot":"b","pid":1,"start":1,"name":"n","directory":"/","more":1}',
        b"\xff" * 10,
    ],
)
def test_what_is_no_mark_is_none(tmp_path, content):
    path(tmp_path).parent.mkdir()
    path(tmp_path).write_bytes(content)
    assert runs.read(tmp_path, 4231) is None
    assert list(runs.marks(tmp_path)) == []


def test_a_mark_speaks_for_the_process_that_it_is_named_after_alone(tmp_path):
    runs.write(tmp_path, MARK)
    path(tmp_path).rename(path(tmp_path, 17))
    assert runs.read(tmp_path, 17) is None


def test_a_mark_is_not_read_through_a_link(tmp_path):
    runs.write(tmp_path / "elsewhere", MARK)
    path(tmp_path).parent.mkdir()
    path(tmp_path).symlink_to(path(tmp_path / "elsewhere"))
    assert runs.read(tmp_path, 4231) is None


def test_only_marks_are_looked_at(tmp_path):
    runs.write(tmp_path, MARK)
    for name in ("4231.17.new", "x.json", "4232", ".json", "-1.json", "\u00b2.json"):
        (tmp_path / "runs" / name).write_bytes(path(tmp_path).read_bytes())
    assert list(runs.marks(tmp_path)) == [MARK]
    assert list(runs.marks(tmp_path / "nowhere")) == []


def test_what_is_illegible_is_told_with_who_has_left_it(tmp_path):
    runs.write(tmp_path, MARK)
    assert list(runs.illegible(tmp_path)) == list(runs.illegible(tmp_path / "nowhere")) == []
    for name in ("17.json", "18.json.19.new", "x.json", "4231.json.new", "20.log"):
        (tmp_path / "runs" / name).touch()
    path(tmp_path, 21).mkdir()
    found = sorted(runs.illegible(tmp_path))
    assert found == [(17, path(tmp_path, 17)), (19, tmp_path / "runs" / "18.json.19.new"), (21, path(tmp_path, 21))]
    for _, its in found:
        runs.discard(its)
        runs.discard(its)
    assert [its for _, its in runs.illegible(tmp_path)] == [path(tmp_path, 21)]  # it is no file of ours
    assert runs.read(tmp_path, 4231) == MARK


@pytest.mark.parametrize("directory", ["/" + "d" * 4095, "/" + "\x01" * 4000, "/\udcff", "/\u202e\n"])
def test_any_directory_that_a_process_can_have_can_be_told(tmp_path, directory):
    runs.write(tmp_path, runs.Mark("boot", 4231, 7, "make", directory))
    mark = runs.read(tmp_path, 4231)
    assert mark is not None
    assert mark.directory.isprintable()


def test_a_directory_that_cannot_be_written_to_is_an_error(tmp_path):
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(OSError, match="runs"):
        runs.write(tmp_path, MARK)
