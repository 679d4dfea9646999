from __future__ import annotations

import click
import pytest

from sentinel.cli.numbers import Number, Pid


@pytest.mark.parametrize(
    ("asked", "text", "refusal"),
    [
        (Pid(), "abc", "'abc' is not a valid process number."),
        (Pid(), "1", "1 is not in the range 2<=x<=2147483647."),
        (Pid(), str(2**31), "2147483648 is not in the range 2<=x<=2147483647."),
        (Number(0), "x", "'x' is not a valid number."),
    ],
)
def test_what_is_none_is_refused_by_its_name(asked, text, refusal):
    with pytest.raises(click.BadParameter) as refused:
        asked.convert(text, None, None)
    assert refused.value.message == refusal


def test_what_is_one_is_taken():
    assert (Pid().convert("2", None, None), Number(0).convert("0", None, None)) == (2, 0)
