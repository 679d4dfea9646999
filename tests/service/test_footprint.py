from __future__ import annotations

import os

import pytest

from sentinel.errors import SentinelError
from sentinel.service.footprint import Footprint


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def footprint(home):
    """As each run of a verb opens it."""
    manifest = home / ".local" / "state" / "sentinel" / "installed.json"
    first = Footprint(manifest)
    first.making(manifest.parent)

    def again():
        return Footprint(manifest)

    return again


def everything(home):
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


def take_back(footprint, *steps):
    stays = []
    for step in steps:
        stays += footprint().take_out(step)
    footprint().leave()
    return stays


def test_what_was_not_there_is_gone_again_with_its_directories(home, footprint):
    assert footprint().put("a", home / ".config" / "x" / "unit", b"one")
    assert footprint().steps == {"a"}
    assert footprint().of("a") == [home / ".config" / "x" / "unit"]
    assert take_back(footprint, "a") == []
    assert everything(home) == []


@pytest.mark.usefixtures("footprint")
def test_nobody_else_enters_what_is_made_for_the_manifest(home):
    made = [home.joinpath(*parts) for parts in ((".local",), (".local", "state"), (".local", "state", "sentinel"))]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700] * 3


def test_what_was_there_is_back_byte_by_byte(home, footprint):
    mine = home / "mine"
    mine.write_bytes(b"mine\xff\n")
    mine.chmod(0o640)
    assert footprint().put("a", mine, b"ours")
    assert footprint().put("a", mine, b"ours, newer")
    assert mine.stat().st_mode & 0o777 == 0o640
    assert take_back(footprint, "a") == []
    assert mine.read_bytes() == b"mine\xff\n"
    assert mine.stat().st_mode & 0o777 == 0o640


def test_no_file_has_another_mode_for_a_moment(home, footprint, monkeypatch):
    """It is there with the one that it is to have, also for whoever is killed right then."""
    mine, replace, arrived = home / "mine", os.replace, []

    def replaced(source, target):
        if str(target) == str(mine):
            arrived.append(os.stat(source).st_mode & 0o777)
        replace(source, target)

    monkeypatch.setattr(os, "replace", replaced)
    mine.write_bytes(b"mine")
    mine.chmod(0o640)
    footprint().put("a", mine, b"ours")
    take_back(footprint, "a")
    assert arrived == [0o640, 0o640]


def test_the_same_twice_is_no_change(home, footprint):
    assert footprint().put("a", home / "unit", b"one")
    assert not footprint().put("a", home / "unit", b"one")
    assert footprint().put("a", home / "unit", b"two")


def test_a_file_that_says_the_same_already_is_its_owners_and_stays(home, footprint):
    (home / "unit").write_bytes(b"one")
    assert not footprint().put("a", home / "unit", b"one")
    take_back(footprint, "a")
    assert (home / "unit").read_bytes() == b"one"


def test_what_cannot_be_read_stays_and_keeps_nobody_else(home, footprint):
    made = footprint()
    for name in ("first", "last"):
        made.put("a", home / name, b"one")
    (home / "first").unlink()
    (home / "first").mkdir()
    assert take_back(footprint, "a") == [f"{home / 'first'} cannot be read (Is a directory), and stays"]
    assert not (home / "last").exists()


def test_what_somebody_has_changed_since_stays_and_is_named(home, footprint):
    footprint().put("a", home / "unit", b"one")
    (home / "unit").write_bytes(b"one, and mine")
    assert take_back(footprint, "a") == [f"{home / 'unit'} has been changed since, and stays"]
    assert (home / "unit").read_bytes() == b"one, and mine"


def test_what_somebody_has_changed_is_not_lost_when_it_is_written_anew(home, footprint):
    footprint().put("a", home / "unit", b"one")
    (home / "unit").write_bytes(b"one, and mine")
    assert footprint().put("a", home / "unit", b"two")
    assert footprint().put("a", home / "unit", b"three")
    assert take_back(footprint, "a") == []
    assert (home / "unit").read_bytes() == b"one, and mine"


def test_what_is_gone_already_is_no_trouble(home, footprint):
    footprint().put("a", home / "unit", b"one")
    (home / "unit").unlink()
    assert take_back(footprint, "a") == []
    assert everything(home) == []


def test_a_link_into_a_repository_stays_one(home, footprint):
    (home / "dotfiles").mkdir()
    (home / "dotfiles" / "unit").write_bytes(b"mine")
    (home / "unit").symlink_to("dotfiles/unit")
    footprint().put("a", home / "unit", b"ours")
    assert os.readlink(home / "unit") == "dotfiles/unit"
    take_back(footprint, "a")
    assert (home / "dotfiles" / "unit").read_bytes() == b"mine"


def test_a_directory_that_others_have_come_to_use_stays(home, footprint):
    footprint().put("a", home / "config" / "unit", b"one")
    (home / "config" / "other").write_text("not ours")
    take_back(footprint, "a")
    assert everything(home) == ["config", "config/other"]


def test_one_step_is_taken_back_without_the_other(home, footprint):
    footprint().put("a", home / "one", b"1")
    footprint().put("b", home / "two", b"2")
    assert list(footprint().take_out("b")) == []
    assert footprint().steps == {"a"}
    assert (home / "one").exists()
    assert not (home / "two").exists()


def test_only_a_directory_that_was_made_on_our_account_is_erased(home, footprint):
    (home / "theirs").mkdir()
    footprint().erase(home / "theirs")
    assert (home / "theirs").exists()
    state = home / ".local" / "state" / "sentinel"
    (state / "events.jsonl").write_text("{}\n")
    assert footprint().made(state)
    footprint().erase(state)
    assert not state.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2}', b'{"files": [{}]}'])
def test_a_manifest_that_cannot_be_understood_takes_nothing_out(home, footprint, content):
    (home / ".local" / "state" / "sentinel" / "installed.json").write_bytes(content)
    with pytest.raises(SentinelError, match=r"installed\.json"):
        footprint()


def test_what_cannot_be_written_is_as_it_was(home, footprint):
    if os.getuid() == 0:
        (home / "unit").mkdir()
    else:
        (home / "unit").write_bytes(b"mine")
        home.chmod(0o500)
    with pytest.raises(OSError, match=r"unit|directory"):
        footprint().put("a", home / "unit", b"ours")
