import os
import socket

from sentinel.core.facts import Unknown
from sentinel.environments.aside import is_empty_file, put_aside


def test_a_file_gets_another_name_over_what_was_there(tmp_path):
    (tmp_path / "a").write_text("new")
    (tmp_path / "a.1").write_text("old")
    put_aside(str(tmp_path / "a"), ".1")
    put_aside(str(tmp_path / "none"), ".1")
    assert os.listdir(tmp_path) == ["a.1"]
    assert (tmp_path / "a.1").read_text() == "new"


def test_only_a_plain_empty_file_is_one(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "full").write_text("x")
    (tmp_path / "link").symlink_to("empty")
    with socket.socket(socket.AF_UNIX) as it:
        here = os.open(".", os.O_RDONLY)
        os.chdir(tmp_path)
        it.bind("socket")
        os.fchdir(here)
        os.close(here)
    answers = {name: is_empty_file(str(tmp_path / name)) for name in ("empty", "full", "link", "socket")}
    assert answers == {"empty": True, "full": False, "link": False, "socket": False}
    assert isinstance(is_empty_file(str(tmp_path / "none")), Unknown)
