import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sentinel.core.facts import Gone, SocketFacts, Unknown
from sentinel.core.sessions import SocketMark
from sentinel.observe import sock_diag, sockets

ROOT = Path(__file__).parents[2]
NOBODY = 65534


@pytest.fixture
def place():
    path = tempfile.mkdtemp(prefix="sentinel-")  # short: a socket's path has 108 bytes
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def listener(place):
    with socket.socket(socket.AF_UNIX) as it:
        it.bind(f"{place}/live.sock")
        it.listen(1)
        yield it


def facts(path, bound=None) -> SocketFacts:
    seen = sockets.look_at_socket(path, bound)
    assert isinstance(seen, SocketFacts), seen
    return seen


def test_a_listening_socket_is_bound(listener):
    seen = facts(listener.getsockname())
    assert (seen.is_socket, seen.bound, seen.uid) == (True, True, os.getuid())


def test_a_socket_whose_owner_ended_is_not(place):
    with socket.socket(socket.AF_UNIX) as it:
        it.bind(f"{place}/dead.sock")
        it.listen()
    assert facts(f"{place}/dead.sock").bound is False


def test_one_that_is_bound_but_does_not_listen_yet_is_bound(place):
    with socket.socket(socket.AF_UNIX) as it:
        it.bind(f"{place}/s")
        assert facts(f"{place}/s").bound is True


def test_a_full_backlog_changes_nothing(listener):
    listener.listen(0)
    path = listener.getsockname()
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.connect(path)
        second.settimeout(0)
        with pytest.raises(BlockingIOError):
            second.connect(path)
        assert facts(path).bound is True


def test_datagram_sockets_count(place):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as it:
        it.bind(f"{place}/d")
        assert facts(f"{place}/d").bound is True


def test_looking_connects_to_nobody(listener):
    facts(listener.getsockname())
    listener.settimeout(0)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_an_accepted_connection_keeps_the_socket_bound(listener):
    path = listener.getsockname()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        with listener.accept()[0]:
            listener.close()
            assert facts(path).bound is True


@pytest.mark.parametrize("move", [os.rename, os.link])
def test_the_file_is_known_by_its_inode_not_by_its_name(listener, place, move):
    move(listener.getsockname(), f"{place}/other")
    assert facts(f"{place}/other").bound is True


def test_a_new_file_in_the_place_of_a_living_socket_is_not_bound(listener):
    path = listener.getsockname()
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        twin = path + ".twin"
        os.link(path, twin)
    assert facts(twin).bound is False


def test_what_is_no_socket_is_said_to_be_none(place):
    Path(place, "file").touch()
    os.symlink("file", f"{place}/link")
    assert not facts(f"{place}/file").is_socket
    assert not facts(f"{place}/link").is_socket
    assert not facts(place).is_socket


def test_a_symlink_to_a_living_socket_is_not_followed(listener, place):
    os.symlink(listener.getsockname(), f"{place}/link")
    assert facts(f"{place}/link").is_socket is False


@pytest.mark.parametrize("path", ["nothing", "file/below"])
def test_what_is_not_there_is_gone(place, path):
    Path(place, "file").touch()
    assert sockets.look_at_socket(f"{place}/{path}") == Gone()


def test_a_path_that_no_kernel_takes_is_unknown():
    assert isinstance(sockets.look_at_socket("a\0b"), Unknown)


def test_a_question_that_was_not_answered_is_passed_on(listener):
    why = Unknown("which sockets are bound", "somebody said so")
    assert facts(listener.getsockname(), why).bound is why


def test_an_old_answer_is_not_believed_about_a_younger_file(place):
    before = sockets.bound_inodes()
    with socket.socket(socket.AF_UNIX) as it:
        it.bind(f"{place}/s")
        assert facts(f"{place}/s", before).bound is True


def test_an_answer_serves_for_many_older_files(place, monkeypatch):
    with socket.socket(socket.AF_UNIX) as it:
        it.bind(f"{place}/s")
    time.sleep(2 * sockets._COARSE)
    answer = sockets.bound_inodes()
    monkeypatch.setattr(sockets, "bound_inodes", lambda: pytest.fail("asked again"))
    assert facts(f"{place}/s", answer).bound is False


def test_who_answers_is_found_out_however_long_the_path_is(tmp_path):
    """An address has room for 107 bytes."""
    place = tmp_path / ("d" * 120)
    place.mkdir()
    with contextlib.chdir(place), socket.socket(socket.AF_UNIX) as owner:
        owner.bind("s")
        owner.listen()
        assert sockets.answers(f"{place}/s") is True
    assert sockets.answers(f"{place}/s") is False


def test_a_hidden_file_is_unknown_and_not_gone(listener, place):
    os.chmod(place, 0)
    # Mode 0 hides a directory from its owner too, but not from root. Only the look itself
    # is another user's: that one may not even reach the Python that runs here.
    look = (
        "import os; from sentinel.observe.sockets import look_at_socket;"
        f"os.getuid() or os.setuid({NOBODY}); print(look_at_socket({listener.getsockname()!r}))"
    )
    said = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    os.chmod(place, 0o700)
    assert said.stdout.startswith("could not find out what is at")


def test_the_kernels_refusal_is_unknown(monkeypatch):
    def refuse(_request):
        raise PermissionError(13, "no")

    monkeypatch.setattr(sockets, "dump", refuse)  # a kernel without the facility cannot be had here
    assert isinstance(sockets.bound_inodes(), Unknown)
    assert isinstance(sockets.listening_sockets_of(os.getpid()), Unknown)


def test_a_dump_that_ended_with_an_error_is_an_error():
    # The kernel reports some failures only in the last message; this is its form.
    with pytest.raises(OSError, match="No such file"):
        sock_diag._complain(sock_diag._ERRNO.pack(-2))
    sock_diag._complain(sock_diag._ERRNO.pack(0))


@pytest.mark.parametrize("missed_by", [0, 1])
def test_a_dump_in_many_pieces_is_taken_twice_and_either_counts(monkeypatch, listener, missed_by):
    collect, asked = sock_diag._collect, []

    def in_pieces(netlink):  # which socket the kernel skips cannot be arranged
        asked.append(netlink)
        answer = collect(netlink)
        return answer._replace(messages=[] if len(asked) - 1 == missed_by else answer.messages, pieces=2)

    monkeypatch.setattr(sock_diag, "_collect", in_pieces)
    assert facts(listener.getsockname()).bound is True
    assert len(asked) == 2


def test_thousands_of_sockets_are_all_told(place):
    held = []
    try:
        for number in range(900):
            it = socket.socket(socket.AF_UNIX)
            it.bind(f"{place}/{number}")
            held.append(it)
        bound = sockets.bound_inodes()
        assert all(bound.holds(f"{place}/{n}", os.lstat(f"{place}/{n}")) is True for n in range(900))
    finally:
        for it in held:
            it.close()


def test_an_inode_beyond_32_bits_is_compared_by_what_the_kernel_tells(listener):
    path = listener.getsockname()
    status = list(os.lstat(path))
    status[stat.ST_INO] += 7 << 32  # no file system here has that many inodes
    assert sockets.bound_inodes().holds(path, os.stat_result(status)) is True


def test_a_file_with_the_same_number_on_another_file_system_is_another_file(listener):
    path = listener.getsockname()
    status = os.lstat(path)
    number = status.st_ino & sockets._LOW
    there = sockets.BoundSocket(status.st_dev + 1, number, 1, sock_diag.LISTEN, path)  # numbers cannot be chosen
    assert sockets.Bound({number: (there,)}, {1: there}, time.time()).holds(path, status) is False


@pytest.mark.skipif(os.getuid() != 0, reason="missing: root (to mount an overlay)")
def test_a_living_socket_is_found_where_stat_shows_another_device(place):
    script = f"""
set -e
mount -t tmpfs none {place}; mkdir {place}/up {place}/work {place}/merged
mount -t overlay none -o lowerdir=/usr,upperdir={place}/up,workdir={place}/work {place}/merged
exec {sys.executable} -c '
import os, socket
from sentinel.observe import sockets
path = "{place}/merged/s"
it = socket.socket(socket.AF_UNIX); it.bind(path); it.listen()
entry = next(e for e in sockets.bound_inodes().by_socket.values() if e.name == path)
print(entry.device != os.lstat(path).st_dev, sockets.look_at_socket(path).bound)
print(sockets.listening_sockets_of(os.getpid())[0].path == path)
it.close()
print(sockets.look_at_socket(path).bound)
'
"""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "True True" not in done.stdout and "mount:" in done.stderr:
        pytest.skip(f"missing: overlayfs ({done.stderr})")
    assert done.stdout.split() == ["True", "True", "True", "False"], done.stderr


# -- whose socket it is ------------------------------------------------------------


def marks(pid=None) -> dict[str, SocketMark]:
    found = sockets.listening_sockets_of(pid or os.getpid())
    assert isinstance(found, list), found
    return {mark.path: mark for mark in found}


def test_the_marks_of_a_process_are_its_listening_sockets(listener, place):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(f"{place}/silent")
        status = os.lstat(listener.getsockname())
        path = os.path.realpath(place) + "/live.sock"
        assert marks()[path] == SocketMark(path, status.st_dev, status.st_ino)
        assert os.path.realpath(place) + "/silent" not in marks()


def test_a_relative_name_is_resolved_from_where_the_process_stands(place):
    code = "import socket,sys; s=socket.socket(1); s.bind('./.overmind.sock'); s.listen(); print(1,flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        assert list(marks(other.pid)) == [os.path.realpath(place) + "/.overmind.sock"]
        assert not any(place in path for path in marks())
        other.communicate(b"\n")


def test_a_symlink_on_the_way_is_resolved_so_that_the_remover_meets_none(place):
    os.mkdir(f"{place}/real")
    os.symlink("real", f"{place}/alias")
    with socket.socket(socket.AF_UNIX) as it:
        it.bind(f"{place}/alias/s")
        it.listen()
        assert os.path.realpath(place) + "/real/s" in marks()


def test_a_socket_whose_file_was_replaced_has_no_mark(listener):
    path = listener.getsockname()
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        assert path not in marks()
        assert path in [entry.name for entry in sockets.listeners_of(os.getpid())]


def test_a_name_in_no_known_encoding_comes_back_whole(place):
    name = os.fsencode(place) + b"/\xff\n\x1b[31m"
    with socket.socket(socket.AF_UNIX) as it:
        it.bind(name)
        it.listen()
        assert name in [os.fsencode(path) for path in marks()]


def test_of_a_process_that_is_gone_nothing_is_known():
    with subprocess.Popen(["true"]) as child:
        child.wait()
        assert isinstance(sockets.listening_sockets_of(child.pid), Unknown)


def test_a_socket_of_a_long_path_is_called_all_the_same(tmp_path):
    deep = tmp_path / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener:
        with sockets.address_of(str(deep / "s")) as address:
            listener.bind(address)
        assert sockets.answers(str(deep / "s")) is False
        listener.listen()
        assert sockets.answers(str(deep / "s")) is True
    assert sockets.answers(str(deep / "s")) is False


def test_where_there_is_no_such_short_way_a_socket_is_called_by_its_path(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with sockets.address_of("/nowhere/s") as address:
        assert address == "/nowhere/s"
