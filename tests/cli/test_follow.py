import threading
import time

import pytest

from sentinel.cli import follow
from sentinel.cli.follow import Waker

HANG = 20.0
"""Seconds; a sleep that nothing ends is three times as long."""


@pytest.fixture(autouse=True)
def _no_safety_look(monkeypatch):
    monkeypatch.setattr(follow, "LONGEST_SLEEP", 3 * HANG)


def sleeps_until(waker, act):
    """Whether ``act``, done while it sleeps, wakes it up."""
    waker.clear()
    timer = threading.Timer(0.05, act)
    timer.start()
    began = time.monotonic()
    waker.sleep(3 * HANG, news=False)
    timer.join()
    return time.monotonic() - began < HANG


@pytest.mark.parametrize("change", ["create", "append", "replace", "after a file moved away"])
def test_a_change_in_the_directory_ends_the_sleep(tmp_path, change):
    file, other = tmp_path / "events.jsonl", tmp_path / "other"
    other.touch()
    if change != "create":
        file.touch()

    def append():
        with file.open("a") as opened:
            opened.write("x\n")

    def move_away():
        other.rename(tmp_path.parent / f"{tmp_path.name}.moved")
        append()

    acts = {"create": file.touch, "append": append, "replace": lambda: other.replace(file)}
    with Waker(str(tmp_path)) as waker:
        assert sleeps_until(waker, acts.get(change, move_away))


def test_what_happens_after_clear_is_not_missed(tmp_path):
    with Waker(str(tmp_path)) as waker:
        waker.clear()
        (tmp_path / "events.jsonl").touch()
        began = time.monotonic()
        waker.sleep(3 * HANG, news=False)
        assert time.monotonic() - began < HANG


def test_a_directory_that_comes_later_is_watched_from_then_on(tmp_path):
    directory = tmp_path / "state"
    with Waker(str(directory)) as waker:
        waker.sleep(3 * HANG, news=False)  # there is nothing to watch: a short pause, not a long sleep
        directory.mkdir()
        waker.sleep(3 * HANG, news=False)
        assert waker._observer is not None
        assert sleeps_until(waker, (directory / "events.jsonl").touch)


def test_no_thread_is_left(tmp_path):
    before = threading.active_count()
    with Waker(str(tmp_path)):
        assert threading.active_count() > before
    assert threading.active_count() == before
