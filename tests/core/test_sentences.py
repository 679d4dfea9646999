from __future__ import annotations

import pytest

from sentinel.core.facts import Death
from sentinel.core.sentences import count, how_it_died, signal_name


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (None, "ended (the kernel did not tell how)"),
        (0, "ended in good order"),
        (3 << 8, "ended with status 3"),
        (9, "was killed by SIGKILL"),
        (11 | 0x80, "was killed by SIGSEGV"),
        (64, "was killed by SIGRTMAX"),
        (50, "was killed by signal 50"),
    ],
)
def test_how_something_died(status, sentence):
    assert how_it_died(Death(1.0, status)) == sentence


def test_numbers_of_things():
    assert [count(n, "process") for n in (0, 1, 2)] == ["0 processes", "1 process", "2 processes"]
    assert count(2, "file") == "2 files"
    assert count(2, "directory", "directories") == "2 directories"
    assert signal_name(15) == "SIGTERM"
