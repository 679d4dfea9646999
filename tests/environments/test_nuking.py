"""How many would be ended is said; that they are, and who is spared, is tried in scenarios and in real."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sentinel.environments import nuking


@pytest.mark.parametrize(
    ("ending", "staying", "sentence"),
    [
        (0, 0, "0 processes would be ended, 0 stay"),
        (1, 1, "1 process would be ended, 1 stays"),
        (2, 2, "2 processes would be ended, 2 stay"),
    ],
)
def test_how_many_would_be_ended_and_how_many_stay(ending, staying, sentence):
    shown = [SimpleNamespace(spared=why) for why in [""] * ending + ["it is to be kept"] * staying]
    assert nuking.number(shown) == sentence
