from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from sentinel import crashes
from sentinel.core.policy import Mode


@pytest.fixture
def file(tmp_path):
    return tmp_path / "crashes.json"


@pytest.fixture
def words(tmp_path):
    return tmp_path / "last-words"


def crash(file, words, times=1):
    for _ in range(times):
        crashes.note(file, words)


def test_the_third_crash_within_a_minute_is_a_loop(file, words):
    crash(file, words)
    assert crashes.why_safe(file) == ""  # the second one, with the one that is not noted yet
    crash(file, words)
    assert crashes.why_safe(file) == "it crashed 3 times within 60 s"


def test_crashes_that_lie_apart_are_none(file, words, monkeypatch):
    crash(file, words, 5)
    now = time.time()
    monkeypatch.setattr(crashes.time, "time", lambda: now + 61)
    assert crashes.why_safe(file) == ""
    monkeypatch.setattr(crashes.time, "time", lambda: now - 3600)  # somebody has set the clock back
    assert crashes.why_safe(file) == ""


def test_what_an_error_said_is_kept_clean(file, words):
    with pytest.raises(ValueError, match="boom"), crashes.last_words(words):
        raise ValueError("boom \x1b[2J")
    crash(file, words)
    (known,) = crashes.known(file)
    assert known.words[0] == "Traceback (most recent call last):"
    assert known.words[-1] == "ValueError: boom \\x1b[2J"
    assert words.stat().st_mode & 0o777 == 0o600


def test_an_end_in_good_order_says_nothing(file, words):
    with crashes.last_words(words):
        pass
    with pytest.raises(KeyboardInterrupt), crashes.last_words(words):
        raise KeyboardInterrupt
    assert words.read_text() == ""


def test_a_signal_leaves_where_the_loop_stood(words):
    script = (
        "import os, pathlib, sys; from sentinel import crashes\n"
        "def stands_still(): os.abort()\n"
        "with crashes.last_words(pathlib.Path(sys.argv[1])): stands_still()"
    )
    done = subprocess.run([sys.executable, "-c", script, words], check=False, capture_output=True)
    assert done.returncode == -signal.SIGABRT
    assert words.read_text().startswith("Fatal Python error: Aborted")
    assert "in stands_still" in words.read_text()


def test_where_nothing_can_be_written_it_goes_on(tmp_path):
    with crashes.last_words(tmp_path / "not there" / "words"):
        pass
    crashes.note(tmp_path / "not there" / "crashes.json", tmp_path / "words")
    assert crashes.known(tmp_path / "not there" / "crashes.json") == ()


@pytest.mark.parametrize("content", [b"", b"{", b"[7]", b"\xff", b'[{"at": "x"}]', b"[" * 100_000])
def test_a_damaged_memory_is_none(file, words, content):
    file.write_bytes(content)
    assert crashes.known(file) == ()
    crash(file, words)
    assert len(crashes.known(file)) == 1


def test_few_are_remembered_and_little_of_each(file, words):
    words.write_text("\n".join("x" * 10_000 for _ in range(1000)))
    crash(file, words, 20)
    known = crashes.known(file)
    assert 0 < len(known) <= 8
    assert file.stat().st_size <= 64 * 1024
    assert max(map(len, known[-1].words)) <= 300


def test_in_safe_mode_nothing_is_ended_and_nothing_of_the_persons_is_read():
    wishes = crashes.harmless()
    assert wishes.policy.mode is Mode.OBSERVE
    assert wishes.sources.processes == "polling"
