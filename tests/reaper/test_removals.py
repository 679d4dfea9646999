import calendar
import errno
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sentinel.core.actions import RemoveDirectory, RemoveLock, RemoveSocket, Result
from sentinel.core.facts import ProcessId, Unknown
from sentinel.core.moments import Moment
from sentinel.core.rules.locks import LockKind, Shape
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Stale
from sentinel.observe import sockets
from sentinel.observe.sockets import SocketFacts, look_at_socket
from sentinel.reaper import copies, openat, quarantine, removals
from tests.lab.elsewhere import listening_elsewhere

SESSION = Session(Kind.OVERMIND, "app", ProcessId(41, 7))
NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="missing: root (to give files away)")


@pytest.fixture
def place():
    path = os.path.realpath(tempfile.mkdtemp(prefix="sentinel-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def kept(place):
    return Path(place, "state", "quarantine")


@pytest.fixture
def afar(place):
    """A quarantine on another file system."""
    for root in ("/dev/shm", "/run", "/var/tmp", str(Path.home())):  # noqa: S108 - any place on another disk will do
        if os.access(root, os.W_OK) and os.stat(root).st_dev != os.stat(place).st_dev:
            path = tempfile.mkdtemp(prefix="sentinel-", dir=root)
            yield Path(path)
            shutil.rmtree(path)
            return
    pytest.skip("missing: a second file system")


def bind(path: str) -> socket.socket:
    it = socket.socket(socket.AF_UNIX)
    it.bind(path)
    it.listen()
    return it


def dead_socket(path: str) -> RemoveSocket:
    bind(path).close()
    return judged(path)


def judged(path: str) -> RemoveSocket:
    status = os.lstat(path)
    return RemoveSocket(SESSION, Stale(path, status.st_dev, status.st_ino, ("Overmind was killed by SIGKILL",)))


def scripts(path: str) -> RemoveDirectory:
    os.mkdir(path, 0o700)
    for name, mode in (("web", 0o744), ("worker", 0o744)):
        file = Path(path, name)
        file.write_text(f"#!/usr/bin/env sh\nexport PS={name}\n")
        file.chmod(mode)
    os.mkdir(f"{path}/more", 0o700)
    Path(path, "more", "empty").touch()
    status = os.lstat(path)
    return RemoveDirectory(SESSION, Stale(path, status.st_dev, status.st_ino, ("no living tmux server has its name",)))


def yes(_path: str) -> bool:
    return True


def no(_path: str) -> bool:
    return False


def untouched(action, kept) -> bool:
    """The thing is where it was, nothing lies about, and the quarantine is empty."""
    path = action.target.path
    status = os.lstat(path)
    beside = [name for name in os.listdir(os.path.dirname(path)) if name.startswith(".sentinel-")]
    same = (status.st_dev, status.st_ino) == (action.target.device, action.target.inode)
    return same and not beside and not (os.path.isdir(kept) and os.listdir(kept))


# -- what is removed -----------------------------------------------------------------


def test_a_dead_socket_is_kept_with_a_note(place, kept):
    action = dead_socket(f"{place}/.overmind.sock")
    outcome = removals.remove(action, kept)
    assert (outcome.target, outcome.result) == (f"{place}/.overmind.sock", Result.REMOVED)
    [entry] = kept.iterdir()
    assert str(entry) in outcome.reason
    assert os.listdir(place) == ["state"]
    status = os.lstat(entry / "item")
    assert (status.st_dev, status.st_ino) == (action.target.device, action.target.inode)
    note = json.loads((entry / "note.json").read_text())
    assert (note["path"], note["kind"], note["session"]) == (action.target.path, "socket", SESSION.key)
    assert note["why"] == ["Overmind was killed by SIGKILL"]
    assert abs(note["at"] - time.time()) < 3600
    assert stat.S_IMODE(os.stat(kept).st_mode) == stat.S_IMODE(os.stat(entry).st_mode) == 0o700


def test_a_directory_is_kept_whole(place, kept):
    action = scripts(f"{place}/overmind-app-V1StGXR8_Z5jdHi6B-myT")
    assert removals.remove(action, kept).result is Result.REMOVED
    [entry] = kept.iterdir()
    assert sorted(os.listdir(entry / "item")) == ["more", "web", "worker"]
    assert json.loads((entry / "note.json").read_text())["kind"] == "directory"
    assert os.listdir(place) == ["state"]


def test_across_file_systems_a_socket_leaves_a_note(place, afar):
    assert removals.remove(dead_socket(f"{place}/s"), afar).result is Result.REMOVED
    [entry] = afar.iterdir()
    assert os.listdir(entry) == ["note.json"]
    assert os.listdir(place) == []


def test_across_file_systems_a_directory_is_copied(place, afar):
    assert removals.remove(scripts(f"{place}/d"), afar, yes).result is Result.REMOVED
    [entry] = afar.iterdir()
    assert "PS=web" in (entry / "item" / "web").read_text()
    assert stat.S_IMODE(os.stat(entry / "item" / "web").st_mode) == 0o744
    assert (entry / "item" / "more" / "empty").exists()
    assert os.listdir(place) == []


def test_names_in_no_known_encoding_are_handled(place, kept):
    path = os.fsdecode(os.fsencode(place) + b"/\xff\n\x1b[31m")
    assert removals.remove(dead_socket(path), kept).result is Result.REMOVED
    [entry] = kept.iterdir()
    assert json.loads((entry / "note.json").read_text())["path"] == path


def test_in_a_sticky_directory_of_everybody_ones_own_may_be_removed(place, kept):
    os.mkdir(f"{place}/all")
    os.chmod(f"{place}/all", 0o1777)  # noqa: S103 - like /tmp
    assert removals.remove(dead_socket(f"{place}/all/s"), kept).result is Result.REMOVED


@pytest.mark.parametrize("path", ["s", "none/s"])
def test_what_is_not_there_is_gone(place, kept, path):
    action = RemoveSocket(SESSION, Stale(f"{place}/{path}", 1, 1, ()))
    assert removals.remove(action, kept).result is Result.GONE
    assert not kept.exists()


# -- what is refused -----------------------------------------------------------------


def refused(action, kept, recheck=None) -> str:
    outcome = removals.remove(action, kept, recheck)
    assert outcome.result is Result.REFUSED, outcome
    return outcome.reason


def test_a_living_socket_is_put_back_and_goes_on(place, kept):
    with bind(f"{place}/s") as it:
        action = judged(f"{place}/s")
        assert "in use" in refused(action, kept)
        assert untouched(action, kept)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{place}/s")
            it.accept()[0].close()


def test_mercy_a_socket_on_which_one_in_another_network_namespace_answers_is_put_back(place, kept):
    """It may have come since the judgement, and have been given the inode of the one before."""
    with listening_elsewhere(f"{place}/s"):
        action = judged(f"{place}/s")
        assert "in use" in refused(action, kept)
        assert untouched(action, kept)


def test_a_directory_that_is_in_use_is_put_back(place, kept):
    action = scripts(f"{place}/d")
    assert "in use" in refused(action, kept, no)
    assert untouched(action, kept)


def test_a_directory_stays_while_a_living_socket_has_its_name(place, kept):
    name = "overmind-app-V1StGXR8_Z5jdHi6B-myT"
    action = scripts(f"{place}/{name}")
    os.mkdir(f"{place}/tmux-0")
    with bind(f"{place}/tmux-0/{name}"):
        assert "in use" in refused(action, kept)
        assert untouched(action, kept)
    assert removals.remove(action, kept).result is Result.REMOVED


def test_when_the_kernel_does_not_say_nothing_is_removed(place, kept, monkeypatch):
    silent = Unknown("which sockets are bound", "it was not told")  # no kernel here is silent
    monkeypatch.setattr(removals, "bound_inodes", lambda: silent)
    monkeypatch.setattr(sockets, "bound_inodes", lambda: silent)
    for action in (dead_socket(f"{place}/s"), scripts(f"{place}/d")):
        refused(action, kept)
        assert untouched(action, kept)


def test_a_recheck_that_fails_is_no_permission(place, kept):
    def fail(_path):
        raise RuntimeError("oh")

    action = dead_socket(f"{place}/s")
    assert "oh" in refused(action, kept, fail)
    assert untouched(action, kept)


def test_the_recheck_is_told_where_the_thing_is_now(place, kept):
    seen = []

    def look(path):
        seen.append(look_at_socket(path))
        return True

    action = dead_socket(f"{place}/s")
    removals.remove(action, kept, look)
    assert isinstance(seen[0], SocketFacts)
    assert seen[0].inode == action.target.inode


def test_another_file_of_that_name_is_refused(place, kept):
    action = dead_socket(f"{place}/s")
    os.rename(f"{place}/s", f"{place}/old")  # keeps its inode number from being used again
    other = dead_socket(f"{place}/s")
    assert "made it anew" in refused(action, kept)
    assert untouched(other, kept)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_socket_is_refused(place, kept, make):
    make(Path(place, "s"))
    action = judged(f"{place}/s")
    assert "not a socket" in refused(action, kept)
    assert untouched(action, kept)


def test_what_is_no_directory_is_refused(place, kept):
    os.mkdir(f"{place}/real")
    os.symlink("real", f"{place}/d")
    status = os.lstat(f"{place}/d")
    action = RemoveDirectory(SESSION, Stale(f"{place}/d", status.st_dev, status.st_ino, ()))
    assert "not a directory" in refused(action, kept, yes)
    assert untouched(action, kept)


@as_root
def test_a_strangers_file_is_refused(place, kept):
    action = dead_socket(f"{place}/s")
    os.lchown(f"{place}/s", NOBODY, NOBODY)
    assert "another user" in refused(action, kept)
    assert untouched(action, kept)


@as_root
def test_a_way_through_a_strangers_directory_is_refused(place, kept):
    os.mkdir(f"{place}/theirs")
    action = dead_socket(f"{place}/theirs/s")
    os.chown(f"{place}/theirs", NOBODY, NOBODY)
    assert "another user" in refused(action, kept)
    assert untouched(action, kept)


def test_a_way_through_a_directory_of_everybody_is_refused(place, kept):
    os.makedirs(f"{place}/all/in")
    os.chmod(f"{place}/all", 0o777)  # noqa: S103 - the fault that must be seen
    action = dead_socket(f"{place}/all/in/s")
    assert "everybody may write" in refused(action, kept)
    assert untouched(action, kept)


def test_a_parent_that_became_a_symlink_is_refused(place, kept):
    os.mkdir(f"{place}/project")
    action = dead_socket(f"{place}/project/s")
    os.rename(f"{place}/project", f"{place}/moved")
    os.symlink("moved", f"{place}/project")  # the very same socket is at the end of it
    assert "symlink" in refused(action, kept)
    assert untouched(action, kept)


@pytest.mark.parametrize(
    "path", ["", "/", "s", "./s", "{place}/../s", "{place}//s", "{place}/./s", "{place}/s/", "/a\0b"]
)
def test_a_path_that_is_not_plain_is_refused(place, kept, path):
    refused(RemoveSocket(SESSION, Stale(path.format(place=place), 1, 1, ())), kept)


def test_without_a_quarantine_nothing_is_removed(place):
    Path(place, "file").touch()
    action = dead_socket(f"{place}/s")
    refused(action, Path(place, "file"))
    refused(action, Path(place, "file", "below"))
    assert untouched(action, f"{place}/none")


def test_a_quarantine_that_others_can_write_to_is_refused(place, kept):
    kept.mkdir(parents=True)
    kept.chmod(0o777)
    action = dead_socket(f"{place}/s")
    assert "only we can write" in refused(action, kept)
    assert untouched(action, kept)


def test_a_quarantine_that_vanishes_in_between_changes_nothing(place, kept):
    def vanish(_path):
        shutil.rmtree(kept)
        return True

    for action in (dead_socket(f"{place}/s"), scripts(f"{place}/d")):
        refused(action, kept, vanish)
        assert untouched(action, kept)


@pytest.mark.parametrize("many", [True, False])
def test_across_file_systems_only_small_directories_are_taken(place, afar, many):
    action = scripts(f"{place}/d")
    if many:
        for number in range(100):
            Path(place, "d", str(number)).touch()
    else:
        Path(place, "d", "big").write_bytes(bytes(1 << 20))
    assert "more than a script directory" in refused(action, afar, yes)
    assert untouched(action, afar)


@pytest.mark.parametrize("odd", [os.mkfifo, lambda path: os.symlink("/etc", path)])
def test_across_file_systems_only_files_are_taken(place, afar, odd):
    action = scripts(f"{place}/d")
    odd(f"{place}/d/more/odd")
    assert "neither a file nor a directory" in refused(action, afar, yes)
    assert untouched(action, afar)


def test_what_is_written_while_it_is_copied_stays(place, afar, monkeypatch):
    copy = copies._copy_file

    def write_meanwhile(directory, name, status, target):
        copy(directory, name, status, target)
        if name == "worker":
            os.close(os.open("web", os.O_WRONLY | os.O_TRUNC, dir_fd=directory))

    monkeypatch.setattr(copies, "_copy_file", write_meanwhile)  # the moment has to be hit
    action = scripts(f"{place}/d")
    assert "while it was copied" in refused(action, afar, yes)
    assert untouched(action, afar)
    assert sorted(os.listdir(f"{place}/d")) == ["more", "web", "worker"]


def test_what_appears_while_it_is_emptied_stays_and_the_rest_is_kept(place, afar, monkeypatch):
    unlink = os.unlink

    def write_meanwhile(path, *, dir_fd=None):
        if path == "web":
            os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=dir_fd))
        unlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", write_meanwhile)  # the moment has to be hit
    action = scripts(f"{place}/d")
    reason = refused(action, afar, yes)
    [entry] = afar.iterdir()
    assert str(entry) in reason
    assert "PS=web" in (entry / "item" / "web").read_text()
    assert os.listdir(f"{place}/d") == ["new"]


# -- races ---------------------------------------------------------------------------


def test_a_socket_that_was_bound_anew_after_the_check_gets_its_name_back(place, kept, monkeypatch):
    action = dead_socket(f"{place}/s")
    owners = []

    def rebind(*arguments):
        os.unlink(f"{place}/s")
        owners.append(bind(f"{place}/s"))  # on many file systems with the same inode number
        return quarantine.open_entry(*arguments)

    monkeypatch.setattr(removals, "open_entry", rebind)  # the moment has to be hit
    refused(action, kept)
    with owners[0] as owner, socket.socket(socket.AF_UNIX) as client:
        client.connect(f"{place}/s")
        owner.accept()[0].close()
    assert sorted(os.listdir(place)) == ["s", "state"]
    assert not os.listdir(kept)


def test_a_directory_that_was_made_anew_after_the_check_gets_its_name_back(place, kept, monkeypatch):
    action = scripts(f"{place}/d")

    def exchange(*arguments):
        os.rename(f"{place}/d", f"{place}/old")
        scripts(f"{place}/d")
        return quarantine.open_entry(*arguments)

    monkeypatch.setattr(removals, "open_entry", exchange)  # the moment has to be hit
    assert "made it anew" in refused(action, kept, yes)
    assert sorted(os.listdir(place)) == ["d", "old", "state"]
    assert sorted(os.listdir(f"{place}/d")) == ["more", "web", "worker"]
    assert not os.listdir(kept)


def test_what_vanishes_after_the_check_is_gone(place, kept, monkeypatch):
    action = dead_socket(f"{place}/s")

    def vanish(*arguments):
        os.unlink(f"{place}/s")
        return quarantine.open_entry(*arguments)

    monkeypatch.setattr(removals, "open_entry", vanish)  # the moment has to be hit
    assert removals.remove(action, kept).result is Result.GONE
    assert not os.listdir(kept)


def test_a_socket_that_is_bound_while_the_dead_one_is_moved_stays(place, kept):
    action = dead_socket(f"{place}/s")
    owners = []

    def recheck(path):
        owners.append(bind(f"{place}/s"))
        return removals.still_dead(path)

    assert removals.remove(action, kept, recheck).result is Result.REMOVED
    with owners[0]:
        assert look_at_socket(f"{place}/s").bound is True


def test_when_the_name_was_taken_meanwhile_nothing_is_lost(place, kept):
    with bind(f"{place}/s") as first:
        action = judged(f"{place}/s")
        owners = []

        def recheck(_path):
            owners.append(bind(f"{place}/s"))
            return False

        reason = refused(action, kept, recheck)
        [aside] = [name for name in os.listdir(place) if name.startswith(".sentinel-")]
        assert aside in reason
        with owners[0], socket.socket(socket.AF_UNIX) as client:
            assert look_at_socket(f"{place}/s").bound is True
            client.connect(f"{place}/{aside}")
            first.accept()[0].close()


def test_a_directory_whose_name_was_taken_meanwhile_is_not_thrown_over_the_new_one(place, kept):
    action = scripts(f"{place}/d")

    def recheck(_path):
        os.mkdir(f"{place}/d")
        return False

    assert ".sentinel-" in refused(action, kept, recheck)
    assert os.listdir(f"{place}/d") == []


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_where_a_file_can_have_no_second_name_it_gets_its_own_back(place, kept, monkeypatch, code):
    def link(*_args, **_options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)  # to mount a file system without hard links is root's
    with bind(f"{place}/s"):
        action = judged(f"{place}/s")
        assert refused(action, kept, no) == "it is in use, or nobody can tell any more that it is not"
        assert untouched(action, kept)

        def taken(_path):
            Path(place, "s").write_text("another's")
            return False

        assert ".sentinel-" in refused(action, kept, taken)
        assert Path(place, "s").read_text() == "another's"


def test_without_the_kernels_help_a_directory_still_gets_its_name_back(place, monkeypatch):
    import ctypes

    monkeypatch.setattr(ctypes, "CDLL", lambda *_args, **_kwargs: object())  # a system without renameat2
    os.mkdir(f"{place}/aside")
    Path(place, "aside", "file").touch()
    directory = os.open(place, os.O_RDONLY)
    try:
        openat.put_back(directory, "aside", "d")
        assert os.listdir(place) == ["d"]
        os.mkdir(f"{place}/aside")
        with pytest.raises(OSError, match="not empty"):
            openat.put_back(directory, "aside", "d")
    finally:
        os.close(directory)


OWNER = """
import os, random, socket, sys, time
sys.path.insert(0, sys.argv[3])
from sentinel.observe.sockets import look_at_socket
path, rounds, lost = sys.argv[1], int(sys.argv[2]), 0
for number in range(rounds):
    it = socket.socket(socket.AF_UNIX)
    while True:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        try:
            it.bind(path)
            break
        except OSError:  # its old file was given its name back in between
            continue
    it.listen()
    time.sleep(random.random() / 2000)
    until = time.monotonic() + 5
    while getattr(look_at_socket(path), "bound", False) is not True:
        if time.monotonic() > until:  # a name that is given back is there again in a moment
            lost += 1
            break
    it.close()
    time.sleep(random.random() / 4000)
print(lost)
"""


def test_an_owner_that_comes_back_again_and_again_never_loses_its_socket(place, kept):
    path = f"{place}/s"
    rounds = "400"
    root = str(Path(__file__).parents[2])
    with subprocess.Popen([sys.executable, "-c", OWNER, path, rounds, root], stdout=subprocess.PIPE) as owner:
        results = dict.fromkeys(Result, 0)
        while owner.poll() is None:
            try:
                action = judged(path)
            except FileNotFoundError:
                continue
            results[removals.remove(action, kept).result] += 1
        assert owner.stdout.read() == b"0\n"
    assert results[Result.REMOVED] > 20
    assert results[Result.REFUSED] > 20


# -- the end of the day ----------------------------------------------------------------


def later(hours):
    """So many hours after now, by every clock."""
    now = quarantine.moment()
    return replace(now, wall=now.wall + hours * 3600, up=now.up + hours * 3600)


def test_after_a_day_what_was_kept_is_deleted(place, kept):
    removals.remove(dead_socket(f"{place}/s"), kept)
    removals.remove(scripts(f"{place}/d"), kept, yes)
    assert quarantine.prune(kept, later(23.9)) == 0
    assert len(list(kept.iterdir())) == 2
    assert quarantine.prune(kept, later(24.1)) == 2
    assert list(kept.iterdir()) == []


LOCKS = "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, 2); print(flush=True); input()"


@pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
def test_mercy_a_lock_that_somebody_holds_stays_whatever_was_seen_of_him(place, kept):
    """/proc/locks is told in pieces, and did not show a lock that was there in 44 of 16,100 looks."""
    path = os.path.join(place, "server.pid")
    Path(path).write_text("4194304\n")
    status = os.lstat(path)
    stale = Stale(path, status.st_dev, status.st_ino, ("its holder has ended",))
    action = RemoveLock(stale, LockKind.PID_FILE, Shape.FILE)
    with subprocess.Popen([sys.executable, "-c", LOCKS, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        outcome = removals.remove(action, kept, lambda _: True)
        holder.communicate(b"\n")
    assert (outcome.result, outcome.reason) == (Result.REFUSED, "somebody has locked it")
    assert os.path.samestat(os.lstat(path), status)
    assert removals.remove(action, kept, lambda _: True).result is Result.REMOVED


@pytest.mark.parametrize("days", [2, -2])
def test_mercy_a_clock_that_is_set_empties_no_quarantine(place, kept, days):
    removals.remove(dead_socket(f"{place}/s"), kept)
    now = quarantine.moment()
    assert quarantine.prune(kept, replace(now, wall=now.wall + days * 86400)) == 0
    assert quarantine.prune(kept, replace(later(25), wall=now.wall + days * 86400)) == 1


def test_after_a_reboot_the_wall_clock_tells_what_was_kept_long_enough(place, kept):
    removals.remove(dead_socket(f"{place}/s"), kept)
    assert quarantine.prune(kept, replace(later(23.9), boot="another", up=1.0)) == 0
    assert quarantine.prune(kept, replace(later(24.1), boot="another", up=1.0)) == 1


def test_what_an_older_sentinel_kept_or_nobody_can_read_goes_by_the_wall_clock(place, kept):
    for name in ("one", "two"):
        removals.remove(dead_socket(f"{place}/{name}"), kept)
    one, two = (entry / "note.json" for entry in kept.iterdir())
    one.write_text(json.dumps({key: value for key, value in json.loads(one.read_text()).items() if key != "boot"}))
    two.write_text("{")
    assert quarantine.prune(kept, later(23.9)) == 0
    assert quarantine.prune(kept, later(24.1)) == 2


@pytest.mark.parametrize(
    "name", ["mine", "20250101T000000Z", "20250101T000000Z-xyz", "20251399T000000Z-0123456789abcdef"]
)
def test_what_is_no_entry_is_left(kept, name):
    (kept / name).mkdir(parents=True)
    assert quarantine.prune(kept, Moment(calendar.timegm((2030, 1, 1, 0, 0, 0)))) == 0
    assert (kept / name).exists()


def test_an_entry_that_is_a_symlink_is_not_followed(place, kept):
    kept.mkdir(parents=True)
    Path(place, "precious").mkdir()
    Path(place, "precious", "file").touch()
    (kept / "20250101T000000Z-0123456789abcdef").symlink_to(f"{place}/precious")
    quarantine.prune(kept, later(1e6))
    assert Path(place, "precious", "file").exists()


def test_without_a_quarantine_there_is_nothing_to_prune(place):
    assert quarantine.prune(Path(place, "none"), later(0)) == 0
