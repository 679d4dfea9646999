"""Logs of sessions, and which of them are forgotten."""

from __future__ import annotations

import os
import time

from sentinel.core.facts import ProcessId
from sentinel.registry import logs
from sentinel.registry.entries import Entry, Place, Status

DAY = 86400


def entry(session, generation=1):
    return Entry(session, generation, "k", "n", "", {}, Place("h", "b"), ProcessId(5, 5), Status.ACTIVE, 0.0, 0.0, 0.0)


def write(path, age):
    path.write_text("a line\n")
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_each_generation_of_each_id_has_a_file_of_its_own(tmp_path):
    alike = [entry("a/b"), entry("a b"), entry("a-b"), entry("a-b", 2), entry("../../etc/passwd"), entry("x" * 120)]
    paths = {logs.path_of(tmp_path, one) for one in alike}
    assert len(paths) == len(alike)
    assert {path.parent for path in paths} == {tmp_path}
    assert not any(path.name.startswith(".") for path in paths)


def test_old_logs_go_and_those_of_living_sessions_stay(tmp_path):
    old, young, alive = (logs.path_of(tmp_path, entry(name)) for name in ("old", "young", "alive"))
    write(old, 8 * DAY)
    write(young, 6 * DAY)
    write(alive, 900 * DAY)
    assert logs.prune(tmp_path, [entry("alive")], time.time() - 7 * DAY) == 1
    assert [path.exists() for path in (old, young, alive)] == [False, True, True]


def test_mercy_what_is_no_log_of_ours_stays(tmp_path):
    target = write(tmp_path / "theirs.txt", 99 * DAY)
    (tmp_path / "a.log").symlink_to(target)
    (tmp_path / "b.log").mkdir()
    os.utime(tmp_path / "b.log", (0, 0))
    os.utime(tmp_path / "a.log", (0, 0), follow_symlinks=False)
    assert logs.prune(tmp_path, [], time.time()) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "b.log", "theirs.txt"]


def test_where_nothing_is_nothing_goes(tmp_path):
    assert logs.prune(tmp_path / "none", [], time.time()) == 0
