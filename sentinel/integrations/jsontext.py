"""Changes to a JSON text that leave every other byte of it as it was.

The text is somebody else's file: its order, indentation and spacing are its owner's. So it
is not decoded and written anew: what is asked for is found by its place in the text, and
only that is put in or taken out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_WHITE = " \t\n\r"
_decode = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class _Item:
    """An entry of an object or an array, with its place in the text."""

    start: int
    """Of its key, or of itself."""
    value_start: int
    end: int
    key: str
    value: Any


class NotJson(ValueError):
    """The text is not JSON, or not of the form that was expected. The message says where."""


def decode(text: str) -> Any:
    """What the text says; ``{}`` for one that is empty.

    Raises:
        NotJson: It is not JSON.
    """
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotJson(_where(error)) from error


def append(text: str, path: Sequence[str], value: object) -> str:
    """Add ``value`` to the array that lies at ``path``; what is missing on the way is made.

    Raises:
        NotJson: The text is not JSON, or something on the way is not an object, or not an array.
    """
    decode(text)
    if not text.strip():
        text = "{}\n"
    at, depth = _skip(text, 0), 0
    for number, key in enumerate(path):
        _expect(text, at, "{", path[:number])
        found = next((item for item in _items(text, at) if item.key == key), None)
        if found is None:
            rest: object = [value]
            for missing in reversed(path[number + 1 :]):
                rest = {missing: rest}
            return _insert(text, at, depth, f"{json.dumps(key)}: ", rest)
        at, depth = found.value_start, depth + 1
    _expect(text, at, "[", path)
    return _insert(text, at, depth, "", value)


def remove(text: str, path: Sequence[str], unwanted: Callable[[Any], bool]) -> str:
    """Take the unwanted values out of the array at ``path``, and what is empty then on the way.

    Raises:
        NotJson: As ``append``.
    """
    decode(text)
    if not text.strip():
        return text
    at, way = _skip(text, 0), list[tuple[int, _Item]]()
    for number, key in enumerate(path):
        _expect(text, at, "{", path[:number])
        found = next((item for item in _items(text, at) if item.key == key), None)
        if found is None:
            return text
        way.append((at, found))
        at = found.value_start
    _expect(text, at, "[", path)
    items = list(_items(text, at))
    doomed = [item for item in items if unwanted(item.value)]
    if not doomed:
        return text
    if len(doomed) < len(items):
        for item in reversed(doomed):
            text = _cut(text, at, item)
        return text
    # All of it goes: then its key too, and so on up to an object that holds more.
    while len(way) > 1 and len(list(_items(text, way[-1][0]))) == 1:
        way.pop()
    return _cut(text, *way[-1])


def _insert(text: str, opening: int, depth: int, key: str, value: object) -> str:
    """Put an entry at the end of the object or array that opens there."""
    items = list(_items(text, opening))
    indent = _indent(text)
    inner = "\n" + indent * (depth + 1)
    written = key + json.dumps(value, indent=indent or None, ensure_ascii=False).replace("\n", inner)
    if items:
        end = items[-1].end
        before = text[_end_of_white_before(text, items[-1].start) : items[-1].start]  # as the last one is set off
        return text[:end] + "," + (before or (inner if indent else " ")) + written + text[end:]
    closing = _skip(text, opening + 1)
    if not indent:
        return text[: opening + 1] + written + text[closing:]
    return text[: opening + 1] + inner + written + "\n" + indent * depth + text[closing:]


def _cut(text: str, opening: int, item: _Item) -> str:
    """Take an entry out, with the comma that sets it off from its neighbour."""
    items = list(_items(text, opening))
    place = next(number for number, other in enumerate(items) if other.start == item.start)
    if place > 0:
        return text[: items[place - 1].end] + text[item.end :]
    if len(items) > 1:
        return text[: item.start] + text[items[1].start :]
    return text[: opening + 1] + text[_skip(text, item.end) :]


def _items(text: str, opening: int) -> Iterator[_Item]:
    """The entries of the object or array that opens there; the text is known to be JSON."""
    at = _skip(text, opening + 1)
    while text[at] not in "}]":
        start, key = at, ""
        if text[opening] == "{":
            key, at = _decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # over the colon
        value_start = at
        value, end = _decode(text, at)
        yield _Item(start, value_start, end, key, value)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _indent(text: str) -> str:
    """One step of indentation, as the text uses it; empty when it is written in one line."""
    lines = text.rstrip().splitlines()
    if len(lines) < 2:  # noqa: PLR2004 - a text of one line
        return "" if len(text.strip()) > 2 else "  "  # noqa: PLR2004 - more than the two braces
    first = next((line for line in lines[1:] if line.strip()), "")
    return first[: len(first) - len(first.lstrip())] or "  "


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITE:
        at += 1
    return at


def _end_of_white_before(text: str, at: int) -> int:
    while at > 0 and text[at - 1] in _WHITE:
        at -= 1
    return at


def _expect(text: str, at: int, opening: str, path: Sequence[str]) -> None:
    if text[at] != opening:
        what = "an object" if opening == "{" else "an array"
        raise NotJson(f"line {text.count(chr(10), 0, at) + 1}: {'.'.join(path) or 'the whole'} is not {what}")


def _where(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}: {error.msg}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
