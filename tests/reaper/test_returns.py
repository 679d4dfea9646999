from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from sentinel.core.actions import RemoveLock, Result
from sentinel.core.rules.locks import LockKind
from sentinel.core.verdicts import Stale
from sentinel.locks.kinds import shape_of
from sentinel.reaper import copies, recovery, removals, returns
from sentinel.reaper.quarantine import moment, prune, stamp
from tests.handlers.room import moves_files
from tests.reaper.test_removals import later

pytestmark = moves_files


@pytest.fixture
def place():
    path = os.path.realpath(tempfile.mkdtemp(prefix="sentinel-"))
    yield Path(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def afar(place):
    """A quarantine on another file system."""
    elsewhere = "/dev/shm"  # noqa: S108 - a file system of its own, in which a directory of ours is made
    if not os.access(elsewhere, os.W_OK) or os.stat(elsewhere).st_dev == os.stat(place).st_dev:
        pytest.skip("missing: a second file system")
    path = tempfile.mkdtemp(prefix="sentinel-", dir=elsewhere)
    yield Path(path)
    shutil.rmtree(path)


@pytest.fixture(params=["near", "afar"])
def kept(request, place):
    """A quarantine on the same file system, and one on another."""
    return place / "quarantine" if request.param == "near" else request.getfixturevalue("afar")


def earlier(path, seconds):
    """Have the one entry be made so many seconds before."""
    [entry] = path.iterdir()
    entry.rename(entry.with_name(f"{stamp(moment().wall - seconds)}{entry.name[16:]}"))


def file(path):
    path.write_text("4231\n")
    path.chmod(0o640)


def directory(path):
    path.mkdir()
    (path / "pid").write_text("4231\n")


def link(path):
    path.symlink_to("box-4231")


def action(path):
    status = path.lstat()
    stale = Stale(str(path), status.st_dev, status.st_ino, ("its holder, process 4231, has ended",))
    return RemoveLock(stale, LockKind.PID_FILE, shape_of(status))


def look(path):
    """All that a person would miss."""
    if path.is_symlink():
        return os.readlink(path)
    if path.is_dir():
        return {name: (path / name).read_text() for name in os.listdir(path)}
    return path.read_text(), path.stat().st_mode


def remove(path, kept, recheck=lambda _: True):
    return removals.remove(action(path), kept, recheck)


@pytest.mark.parametrize("make", [file, directory, link])
def test_what_was_removed_comes_back_as_it_was(place, kept, make):
    path = place / "it"
    make(path)
    before = look(path)
    assert remove(path, kept).result is Result.REMOVED
    assert not os.path.lexists(path)
    (it,) = returns.kept(kept, moment())
    assert (it.path, it.why) == (str(path), ("its holder, process 4231, has ended",))
    returns.put_in_place(kept, it)
    assert look(path) == before
    assert returns.kept(kept, moment()) == []
    assert [name for name in os.listdir(place) if name.startswith(".sentinel")] == []


@pytest.mark.parametrize("make", [file, directory, link])
@pytest.mark.parametrize("there", [file, directory])
def test_nothing_is_overwritten(place, kept, make, there):
    path = place / "it"
    make(path)
    remove(path, kept)
    there(path)
    (path / "own" if path.is_dir() else path).write_text("another's")
    before = look(path)
    (it,) = returns.kept(kept, moment())
    with pytest.raises(returns.CannotReturn):
        returns.put_in_place(kept, it)
    assert look(path) == before
    assert returns.kept(kept, moment()) == [it]
    assert [name for name in os.listdir(place) if name.startswith(".sentinel")] == []


def put_back(place, kept):
    path = place / "it"
    file(path)
    remove(path, kept)
    returns.put_in_place(kept, returns.kept(kept, moment())[0])
    return path


def test_what_was_put_back_is_known_and_its_successor_is_not(place, kept):
    path = put_back(place, kept)
    known = returns.returned(kept, moment())
    assert str(path) in known
    assert str(place / "none") not in known
    os.utime(path, (0, 0))
    assert str(path) not in known


def test_what_was_put_back_already_is_said_to_be(place, kept):
    path = place / "x"
    file(path)
    remove(path, kept)
    [it] = returns.kept(kept, moment())
    returns.put_in_place(kept, it)
    for gone in (False, True):
        with pytest.raises(returns.CannotReturn, match="it was put back"):
            returns.put_in_place(kept, it)
        assert os.path.lexists(path) is not gone
        path.unlink(missing_ok=True)


def test_mercy_what_was_put_back_is_not_removed_again(place, kept):
    path = put_back(place, kept)
    outcome = remove(path, kept)
    assert (outcome.result, outcome.reason) == (Result.REFUSED, "its user has put it back")
    path.write_text("another's\n")
    assert remove(path, kept).result is Result.REMOVED


def test_it_stays_for_a_day_from_when_it_was_put_back(place, kept):
    path = put_back(place, kept)
    (entry,) = kept.iterdir()
    note = json.loads((entry / "note.json").read_text())
    long_ago = {name: note[name] - 30 * 3600 for name in ("at", "up")}
    (entry / "note.json").write_text(json.dumps(note | long_ago))  # removed then, put back just now
    assert prune(kept, moment()) == 0
    assert str(path) in returns.returned(kept, moment())
    assert str(path) not in returns.returned(kept, later(25))
    assert prune(kept, later(25)) == 1


def test_after_a_day_and_without_its_directory_nothing_comes_back(place, kept):
    path = place / "sub" / "it"
    path.parent.mkdir()
    file(path)
    remove(path, kept)
    (it,) = returns.kept(kept, moment())
    assert returns.kept(kept, later(25)) == []
    path.parent.rmdir()
    with pytest.raises(returns.CannotReturn, match="directory"):
        returns.put_in_place(kept, it)


def test_who_asks_for_what_was_removed_lately_is_told_of_that_alone(place, kept):
    file(place / "it")
    remove(place / "it", kept)
    assert len(returns.kept(kept, moment(), lately=60)) == 1
    earlier(kept, 120)
    assert returns.kept(kept, moment(), lately=60) == []
    assert len(returns.kept(kept, moment())) == 1


def test_a_note_that_cannot_be_read_hides_only_itself(place, kept):
    for name in ("one", "two"):
        file(place / name)
        remove(place / name, kept)
    first, second = returns.kept(kept, moment())
    (kept / first.id / "note.json").write_text("{")
    assert returns.kept(kept, moment()) == [second]


@pytest.mark.parametrize("make", [file, directory])
def test_mercy_a_lock_that_somebody_takes_over_just_now_stays(place, kept, make):
    path = place / "it"
    make(path)
    fd = os.open(path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        outcome = remove(path, kept)
    finally:
        os.close(fd)
    assert outcome.result is Result.REFUSED
    assert "takes it over" in outcome.reason
    assert os.path.lexists(path)
    assert remove(path, kept).result is Result.REMOVED


@pytest.mark.parametrize("make", [file, directory, link])
def test_mercy_what_is_not_what_was_judged_gets_its_name_back(place, kept, make):
    path = place / "it"
    make(path)
    before = look(path)
    outcome = remove(path, kept, recheck=lambda _: False)
    assert outcome.result is Result.REFUSED
    assert look(path) == before
    assert returns.kept(kept, moment()) == []


def test_mercy_one_that_was_made_anew_stays(place, kept):
    path = place / "it"
    file(path)
    judged = action(path)
    (place / "new").write_text("4232\n")
    os.replace(place / "new", path)
    assert removals.remove(judged, kept, lambda _: True).result is Result.REFUSED
    assert path.read_text() == "4232\n"


def killed(path, kept):
    """A removal whose process is killed while the thing has no name."""

    def recheck(now):
        if now != str(path):
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    if (pid := os.fork()) == 0:
        remove(path, kept, recheck)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("make", [file, directory, link])
def test_what_a_killed_removal_left_without_a_name_gets_it_back(place, kept, make):
    path = place / "it"
    make(path)
    before = look(path)
    killed(path, kept)
    assert not os.path.lexists(path)
    assert recovery.take_up(kept) == [str(path)]
    assert look(path) == before
    assert (recovery.take_up(kept), list(kept.iterdir())) == ([], [])
    assert [name for name in os.listdir(place) if name.startswith(".sentinel")] == []


def test_mercy_what_took_the_name_meanwhile_stays_and_the_other_can_be_put_back(place, kept):
    path = place / "it"
    file(path)
    killed(path, kept)
    path.write_text("another's")
    assert recovery.take_up(kept) == []
    assert path.read_text() == "another's"
    (it,) = returns.kept(kept, moment())
    path.unlink()
    returns.put_in_place(kept, it)
    assert path.read_text() == "4231\n"


def test_mercy_what_is_on_its_way_just_now_is_left_to_who_moves_it(place, kept):
    path = place / "it"
    file(path)
    assert remove(path, kept, lambda _: recovery.take_up(kept) == []).result is Result.REMOVED


def test_what_a_killed_undo_left_without_a_name_gets_it_back(place):
    path, kept = place / "it", place / "quarantine"
    file(path)
    remove(path, kept)
    if (pid := os.fork()) == 0:
        returns.put_back = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # the moment has to be hit
        returns.put_in_place(kept, returns.kept(kept, moment())[0])
    os.waitpid(pid, 0)
    assert (path.exists(), returns.kept(kept, moment())) == (False, [])
    assert recovery.take_up(kept) == [str(path)]
    assert path.read_text() == "4231\n"


# -- killed while it is copied ---------------------------------------------------------


def tree(path):
    path.mkdir()
    (path / "pid").write_text("4231\n")
    (path / "info").write_text("box\n")
    (path / "info").chmod(0o640)
    (path / "more").mkdir()
    (path / "more" / "empty").touch()


def everything(path):
    return {it.relative_to(path): it.is_dir() or (it.read_text(), it.stat().st_mode) for it in path.rglob("*")}


def die_at(number):
    """A stand-in that is killed when it is called that often, for the moment has to be hit."""
    calls = itertools.count(1)

    def around(real):
        def called(*words, **named):
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*words, **named)

        return called

    return around


def dying(what, where, name, number):
    """Do something in a process of its own that is killed in the middle of it."""
    if (pid := os.fork()) == 0:
        setattr(where, name, die_at(number)(getattr(where, name)))
        what()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


MOMENTS = [(copies, "_copy_file", 2), (os, "unlink", 1), (os, "unlink", 2), (os, "rmdir", 1), (os, "rmdir", 2)]
"""Before the second file is copied; before the first and the second are removed; before each directory is."""


@pytest.mark.parametrize("when", MOMENTS)
def test_a_directory_whose_removal_was_killed_half_way_is_whole_again(place, afar, when):
    path = place / "it"
    tree(path)
    before = everything(path)
    dying(lambda: remove(path, afar), *when)
    assert not path.exists()
    assert recovery.take_up(afar) == [str(path)]
    assert everything(path) == before
    assert (os.listdir(place), os.listdir(afar)) == (["it"], [])


@pytest.mark.parametrize("when", MOMENTS)
def test_mercy_where_its_name_is_taken_by_then_that_one_stays_and_the_other_is_whole_in_quarantine(place, afar, when):
    path = place / "it"
    tree(path)
    before = everything(path)
    dying(lambda: remove(path, afar), *when)
    file(path)
    assert recovery.take_up(afar) == []
    assert (path.read_text(), os.listdir(place)) == ("4231\n", ["it"])
    path.unlink()
    returns.put_in_place(afar, returns.kept(afar, moment())[0])
    assert everything(path) == before


def test_mercy_what_somebody_wrote_into_it_meanwhile_stays(place, afar):
    path = place / "it"
    tree(path)
    dying(lambda: remove(path, afar), os, "unlink", 2)
    (aside,) = place.iterdir()
    (aside / "new").write_text("another's")
    assert recovery.take_up(afar) == [str(path)]
    assert (path / "new").read_text() == "another's"
    assert (path / "pid").read_text() == "4231\n"


@pytest.mark.parametrize("number", [1, 2])
def test_half_of_what_was_on_its_way_back_is_removed_and_it_can_still_come_back(place, afar, number):
    path = place / "it"
    tree(path)
    before = everything(path)
    remove(path, afar)
    (it,) = returns.kept(afar, moment())
    dying(lambda: returns.put_in_place(afar, it), shutil, "copyfile" if number == 2 else "copytree", number)
    assert len(os.listdir(place)) == number - 1
    assert recovery.take_up(afar) == []
    assert os.listdir(place) == []
    returns.put_in_place(afar, it)
    assert everything(path) == before
    assert sorted(os.listdir(afar / it.id)) == ["note.json", "returned"]


def test_mercy_a_file_of_which_there_is_a_copy_already_is_kept_once_where_its_name_is_taken(place, afar):
    path = place / "it"
    file(path)
    dying(lambda: remove(path, afar), os, "unlink", 1)  # it was copied, and is there still
    path.write_text("another's")
    assert recovery.take_up(afar) == []
    assert (path.read_text(), os.listdir(place)) == ("another's", ["it"])
    path.unlink()
    returns.put_in_place(afar, returns.kept(afar, moment())[0])
    assert path.read_text() == "4231\n"


@pytest.mark.parametrize("said", ["", ".", "other", ".sentinel-", ".sentinel-0123456789abcdef/../other"])
def test_mercy_what_names_no_copy_of_ours_has_nothing_removed(place, afar, said):
    """Whoever wrote down how the copy is called may have been killed while writing, and left an empty file."""
    path, other = place / "it", place / "other"
    tree(path)
    before = everything(path)
    remove(path, afar)
    (it,) = returns.kept(afar, moment())
    other.touch()
    (afar / it.id / "half").write_text(said)
    assert recovery.take_up(afar) == []
    assert other.exists()
    returns.put_in_place(afar, it)
    assert everything(path) == before
