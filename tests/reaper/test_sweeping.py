"""Dead sockets by the thousand, and the one among them that is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys

import pytest

from sentinel.core.actions import Result, SweepSockets
from sentinel.core.facts import Unknown
from sentinel.core.verdicts import Stale
from sentinel.reaper import recovery, returns, sweeping
from sentinel.reaper.quarantine import moment
from tests.handlers.room import moves_files
from tests.lab.elsewhere import listening_elsewhere

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), moves_files]


@pytest.fixture
def place(tmp_path):
    directory = tmp_path / "tmux-7"
    directory.mkdir(mode=0o700)
    return directory


def dead(path):
    """A socket whose owner has ended, as it was judged."""
    with socket.socket(socket.AF_UNIX) as owner:
        bind(owner, path)
    return judged(path)


def bind(owner, path):
    with contextlib.chdir(path.parent):  # the whole path may be too long for a socket's
        owner.bind(path.name)


def judged(path):
    status = os.lstat(path)
    return Stale(str(path), status.st_dev, status.st_ino, ("nobody is bound to it",))


@pytest.fixture
def kept(place):
    return place.parent / "quarantine"


def sweep(place, *targets):
    return asyncio.run(sweeping.sweep(SweepSockets(str(place), targets), place.parent / "quarantine"))


def test_mercy_one_on_which_somebody_in_another_network_namespace_answers_by_now_stays(place):
    with listening_elsewhere(place / "s"):
        (outcome,) = sweep(place, judged(place / "s"))
        assert outcome.result is Result.REFUSED
        assert os.listdir(place) == ["s"]


def test_what_is_dead_is_removed_however_much_it_is(place):
    targets = [dead(place / f"s{number}") for number in range(3 * sweeping.BATCH)]
    outcomes = sweep(place, *targets)
    assert {outcome.result for outcome in outcomes} == {Result.REMOVED}
    assert {outcome.target for outcome in outcomes} == {target.path for target in targets}
    assert os.listdir(place) == []
    assert os.listdir(place.parent / "quarantine") == []


def test_one_that_somebody_is_bound_to_after_all_keeps_its_name_and_works(place):
    with socket.socket(socket.AF_UNIX) as owner:
        bind(owner, place / "live")
        owner.listen()
        (one, other) = sweep(place, judged(place / "live"), dead(place / "dead"))
        assert {one.result, other.result} == {Result.REFUSED, Result.REMOVED}
        assert os.listdir(place) == ["live"]
        with socket.socket(socket.AF_UNIX) as caller, contextlib.chdir(place):
            caller.connect("live")


def test_nothing_is_removed_while_nobody_can_tell_what_is_bound(place, monkeypatch):
    monkeypatch.setattr(sweeping, "bound_inodes", lambda: Unknown("which sockets are bound", "no answer"))
    (outcome,) = sweep(place, dead(place / "dead"))
    assert outcome.result is Result.REFUSED
    assert os.listdir(place) == ["dead"]


def test_what_was_made_anew_since_is_left_alone(place):
    old = dead(place / "s")
    os.rename(place / "s", place / "before")  # so that its inode is not given away again
    dead(place / "s")
    (outcome,) = sweep(place, old)
    assert outcome.result is Result.REFUSED
    assert sorted(os.listdir(place)) == ["before", "s"]


def test_what_is_gone_is_gone(place):
    target = dead(place / "s")
    os.unlink(place / "s")
    assert [outcome.result for outcome in sweep(place, target)] == [Result.GONE]


@pytest.mark.parametrize("what", ["file", "directory", "symlink"])
def test_what_is_no_socket_is_never_removed(place, what):
    path = place / "s"
    match what:
        case "file":
            path.write_text("")
        case "directory":
            path.mkdir()
        case "symlink":
            dead(place.parent / "elsewhere")
            path.symlink_to(place.parent / "elsewhere")
    (outcome,) = sweep(place, judged(path))
    assert outcome.result is Result.REFUSED
    assert os.listdir(place) == ["s"]


def test_a_directory_through_which_others_could_lead_us_is_not_entered(place, tmp_path):
    target = dead(place / "s")
    (tmp_path / "link").symlink_to(place)
    (outcome,) = sweep(tmp_path / "link", target)
    assert outcome.result is Result.REFUSED
    place.chmod(0o777)
    (outcome,) = sweep(place, target)
    assert outcome.result is Result.REFUSED
    assert os.listdir(place) == ["s"]


# -- killed half-way -------------------------------------------------------------------


def killed(place, *targets):
    """A sweep whose process is killed while they have no names."""
    if (pid := os.fork()) == 0:
        sweeping.bound_inodes = lambda: os.kill(os.getpid(), signal.SIGKILL)  # the moment has to be hit
        sweep(place, *targets)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert all(name.startswith(".sentinel-") for name in os.listdir(place))


def test_what_a_killed_sweep_left_without_names_gets_them_back(place, kept):
    killed(place, dead(place / "one"), dead(place / "two"))
    assert sorted(recovery.take_up(kept)) == [str(place / "one"), str(place / "two")]
    assert sorted(os.listdir(place)) == ["one", "two"]
    assert (recovery.take_up(kept), os.listdir(kept)) == ([], [])


def test_mercy_one_that_took_a_name_meanwhile_keeps_it_and_the_dead_one_goes(place, kept):
    killed(place, dead(place / "s"))
    with socket.socket(socket.AF_UNIX) as owner:
        bind(owner, place / "s")
        before = os.lstat(place / "s")
        assert recovery.take_up(kept) == []
        assert os.path.samestat(os.lstat(place / "s"), before)
    assert (os.listdir(place), os.listdir(kept)) == (["s"], [])


def test_mercy_one_that_somebody_holds_waits_until_its_name_is_free(place, kept):
    with socket.socket(socket.AF_UNIX) as owner:
        bind(owner, place / "s")
        before = os.lstat(place / "s")
        killed(place, judged(place / "s"))
        (place / "s").write_text("another's")
        assert recovery.take_up(kept) == []
        assert (place / "s").read_text() == "another's"
        (place / "s").unlink()
        assert recovery.take_up(kept) == [str(place / "s")]
        assert os.path.samestat(os.lstat(place / "s"), before)
    assert os.listdir(kept) == []


def test_mercy_a_sweep_that_is_under_way_is_left_to_whoever_sweeps(place, kept, monkeypatch):
    bound = sweeping.bound_inodes
    taken = []
    monkeypatch.setattr(sweeping, "bound_inodes", lambda: taken.append(recovery.take_up(kept)) or bound())
    (outcome,) = sweep(place, dead(place / "s"))
    assert (outcome.result, taken) == (Result.REMOVED, [[]])


def test_a_sweep_is_nothing_that_can_be_put_back(place, kept):
    killed(place, dead(place / "s"))
    assert returns.kept(kept, moment()) == []


def test_without_a_place_for_the_note_nothing_is_swept(place, kept):
    kept.touch()
    (outcome,) = sweep(place, dead(place / "s"))
    assert outcome.result is Result.REFUSED
    assert os.listdir(place) == ["s"]
