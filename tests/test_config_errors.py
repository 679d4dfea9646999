from __future__ import annotations

import tomllib

import msgspec
import pytest

from sentinel.config_errors import explain


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    count: int = 0


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    inner: Inner = msgspec.field(default_factory=Inner)
    other: Inner = msgspec.field(default_factory=Inner)


def said(text: str) -> str:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(tomllib.loads(text), Shape)
    return explain(caught.value, text.encode(), Shape)


TOP = ["", "\n", "other.count = 1\n", '# """\n', "# x = 1\n# [inner]\n"]
SECTION = "[other]\ncount = 1\n\n"
KEYS = ["inner.x = 1", "inner = {x = 1}", '"inner"."x" = 1']
HEADERS = ["[inner]\nx = 1", "[inner] # x = 1\nx = 1", "[inner.x]"]


@pytest.mark.parametrize(
    "text",
    [top + statement for top in TOP for statement in KEYS + HEADERS] + [SECTION + statement for statement in HEADERS],
)
def test_the_line_is_right_however_the_key_is_written(text):
    assert said(text + "\n# the end\n").startswith(f"{len(text.splitlines())}: unknown ")


def test_the_first_line_of_a_long_statement_is_named():
    assert said('[inner]\ncount = """\na\n\n[other]\n"""\n[other]\n').startswith("2: ")
