import contextlib
import os
import socket

from sentinel.core.facts import Unknown
from sentinel.environments import aside
from sentinel.environments.aside import is_empty_file, put_aside, put_empty_aside


def test_a_file_gets_another_name_over_what_was_there(tmp_path):
    (tmp_path / "a").write_text("new")
    (tmp_path / "a.1").write_text("old")
    put_aside(str(tmp_path / "a"), ".1")
    put_aside(str(tmp_path / "none"), ".1")
    assert os.listdir(tmp_path) == ["a.1"]
    assert (tmp_path / "a.1").read_text() == "new"


def test_mercy_what_took_the_place_of_an_empty_file_since_it_was_looked_at_keeps_its_name(tmp_path, monkeypatch):
    path = tmp_path / "s"
    path.touch()
    look, bound = aside.is_empty_file, socket.socket(socket.AF_UNIX)

    def then_somebody_listens_there(asked):
        answer = look(asked)
        if asked == str(path):
            path.unlink()
            with contextlib.chdir(tmp_path):
                bound.bind("s")
        return answer

    monkeypatch.setattr(aside, "is_empty_file", then_somebody_listens_there)
    with bound:
        assert not put_empty_aside(str(path), ".not-a-socket")
        assert os.listdir(tmp_path) == ["s"]
        assert path.is_socket()


def test_an_empty_file_is_put_aside_and_one_that_holds_something_is_not(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "full").write_text("x")
    assert [put_empty_aside(str(tmp_path / name), ".1") for name in ("empty", "full", "none")] == [True, False, False]
    assert sorted(os.listdir(tmp_path)) == ["empty.1", "full"]


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
