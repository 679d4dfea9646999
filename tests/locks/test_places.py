from __future__ import annotations

import subprocess

import pytest

from sentinel.locks.places import places, project_of


@pytest.fixture
def home(tmp_path):
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    (tmp_path / "shop" / "src").mkdir()
    return tmp_path


def names(found, home):
    return [path.removeprefix(f"{home}/") for path in found.found()]


def test_the_locks_of_a_project_are_found_wherever_in_it_somebody_works(home):
    for name in ("shop/.git/index.lock", "shop/deploy.lock", "shop/tmp/pids/server.pid", "shop/notes.txt"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    found = places([str(home / "shop" / "src")], (), home=str(home))
    assert names(found, home) == ["shop/deploy.lock", "shop/.git/index.lock", "shop/tmp/pids/server.pid"]
    assert found.holds(f"{home}/shop/web.pid")
    assert not found.holds(f"{home}/shop/notes.txt")
    assert not found.holds(f"{home}/shop/src/web.pid")


def test_directories_that_are_not_there_yet_are_wanted_all_the_same(home):
    assert f"{home}/shop/tmp" in places([str(home / "shop")], (), home=str(home)).patterns


@pytest.mark.parametrize("directory", ["", ".", "relative"])
def test_home_and_what_is_above_it_is_nobodys_project(home, directory):
    place = directory if directory == "relative" else str(home / directory)
    assert project_of(place, str(home)) == ""
    assert project_of(str(home.parent), str(home)) == ""
    assert project_of("/", str(home)) == ""


def test_a_directory_without_git_is_its_own_project(home):
    (home / "bare" / "x").mkdir(parents=True)
    assert project_of(str(home / "bare" / "x"), str(home)) == str(home / "bare" / "x")


def test_home_has_its_own_places_where_they_exist(home):
    assert places([], (), home=str(home)).patterns == {}
    (home / ".claude" / "sessions").mkdir(parents=True)
    (home / ".claude" / "sessions" / "7.json").touch()
    assert names(places([], (), home=str(home)), home) == [".claude/sessions/7.json"]


def test_what_the_user_names_is_watched(home, monkeypatch):
    monkeypatch.setenv("HOME", str(home))
    (home / "run").mkdir()
    (home / "run" / "a.pid").touch()
    (home / "run" / "b.txt").touch()
    assert names(places([], ("~/run/*.pid",), home=str(home)), home) == ["run/a.pid"]


def test_the_index_of_a_second_work_tree_is_where_git_keeps_it(home):
    git = ["git", "-C", str(home / "shop"), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"], ["worktree", "add", "-q", "../two"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    found = places([str(home / "two")], (), home=str(home))
    assert found.patterns[f"{home}/shop/.git/worktrees/two"] == {"index.lock"}
