from __future__ import annotations

import fcntl
import json
import os
import stat
import threading
import time

import pytest

from sentinel.atomic import encode, lock, read_file, replace_file, set_aside


@pytest.mark.parametrize("sync", [True, False])
def test_what_was_there_is_replaced_and_nothing_else_is_left(tmp_path, sync):
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o644)
    with path.open() as reader:
        replace_file(path, b"now", sync=sync)
        assert reader.read() == "before"
    assert path.read_text() == "now"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_where_it_cannot_be_put_in_place_nothing_changes(tmp_path):
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(path, b"now")
    assert os.listdir(tmp_path) == ["file"]


def test_a_name_that_is_no_text_comes_back_as_it_was():
    assert json.loads(encode({"name": "caf\udce9"})) == {"name": "caf\udce9"}
    assert encode({"name": "café"}) == '{"name":"café"}'.encode()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("elsewhere", path)])
def test_what_is_no_file_is_not_read_and_nobody_waits_for_it(tmp_path, make):
    (tmp_path / "elsewhere").write_bytes(b"content")
    make(tmp_path / "file")
    with pytest.raises(OSError, match=r"ours alone|symbolic links"):
        read_file(tmp_path / "file", 100)
    set_aside(tmp_path / "file")
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "file.damaged"]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.chmod(0o620), "no file of ours alone"),
        (lambda path: path.write_bytes(bytes(2049)), "larger than 2 KiB"),
        pytest.param(
            lambda path: os.chown(path, 4242, -1),
            "belongs to another user .uid 4242",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="missing: root (to give a file away)"),
        ),
    ],
)
def test_what_is_not_as_we_leave_it_is_not_read(tmp_path, spoil, why):
    path = tmp_path / "file"
    replace_file(path, b"content")
    assert read_file(path, 2048) == b"content"
    spoil(path)
    with pytest.raises(OSError, match=why):
        read_file(path, 2048)


@pytest.fixture
def two(tmp_path):
    """The same directory opened twice: to ``flock`` two strangers."""
    two = [os.open(tmp_path, os.O_RDONLY) for _ in range(2)]
    yield two
    for fd in two:
        os.close(fd)


def test_a_turn_is_one_mans_and_sharing_is_for_those_who_share(two):
    first, second = two
    assert lock(first, fcntl.LOCK_SH, deadline=0, pause=60)
    assert lock(second, fcntl.LOCK_SH, deadline=0, pause=60)
    assert not lock(second, fcntl.LOCK_EX, deadline=0, pause=60)


def test_who_is_patient_gets_the_turn_when_it_is_free(two):
    first, second = two
    assert lock(first, fcntl.LOCK_EX, deadline=0, pause=60)
    free = threading.Timer(0.05, fcntl.flock, (first, fcntl.LOCK_UN))
    free.start()
    assert lock(second, fcntl.LOCK_EX, deadline=time.monotonic() + 20, pause=0.001)
    free.join()
