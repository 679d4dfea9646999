from __future__ import annotations

import tomllib

import msgspec
import pytest
from msgspec import inspect

from sentinel import config, config_errors
from sentinel.config_errors import explain
from sentinel.environments import projectfile


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


def patterns(shape):
    """Every pattern that a text somewhere in a structure is to have."""
    match shape:
        case inspect.StrType(pattern=str(pattern)):
            yield pattern
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from patterns(field.type)
        case inspect.VarTupleType(item_type=item):
            yield from patterns(item)
        case inspect.DictType(value_type=value):
            yield from patterns(value)
        case inspect.UnionType(types=types):
            for one in types:
                yield from patterns(one)


def test_what_each_pattern_wants_is_said_in_words():
    shapes = (config._File, projectfile._File, projectfile._PyProject)
    assert {one for shape in shapes for one in patterns(inspect.type_info(shape))} == set(config_errors._WORDED)
