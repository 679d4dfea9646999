"""Data as a JSON text of bounded size without a harmful character in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from sentinel.core.sanitise import clean

_LONGEST_TEXT = 4096
"""Characters of one string: a path fits."""
# JSON needs \" and \\; any other escape stands for a control character.
_ESCAPED_CONTROL = re.compile(rb'\\[^"\\]')
_to_json = msgspec.json.Encoder().encode


def encode(data: object, room: int = 16 * 1024) -> bytes:
    """Encode as JSON that is visible text throughout and takes ``room`` bytes at most.

    Cleaning and shortening is done only where it is needed: nearly nothing needs it, and
    an intent is urgent.
    """
    try:
        encoded = _to_json(data)
    except UnicodeEncodeError:  # a lone surrogate
        encoded = b"\n"
    if _ESCAPED_CONTROL.search(encoded) or not encoded.decode().isprintable():
        data = _cleaned(data, _LONGEST_TEXT)
        encoded = _to_json(data)
    for shorten in (_few_sentences, _no_facts, _names_alone):
        if len(encoded) <= room:
            return encoded
        data = shorten(data)
        encoded = _to_json(data)
    keep, whole = _MANY, data
    while len(encoded) > room and keep:  # even the names are too many
        keep //= 2
        encoded = _to_json(_cut_lists(whole, keep))
    return encoded


def _cleaned(value: object, limit: int) -> object:
    if isinstance(value, str):
        return clean(value, limit)
    return _mapped(value, lambda _, item: _cleaned(item, limit))


def _mapped(value: object, change: Callable[[str, object], object]) -> object:
    """The same thing with each member of an object or a list changed; lists have no keys."""
    if isinstance(value, dict):
        return {key: change(key, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [change("", item) for item in value]
    return value


_SENTENCES = 3
_SHORT = 200
_IDENTITIES = frozenset({"path", "target"})
"""Whoever asks later what was done to which file needs all of it."""
_MANY = 512


def _few_sentences(value: object) -> object:
    """Of each evidence the first sentences, and how many there were; no string is long."""

    def change(key: str, item: object) -> object:
        if key == "evidence" and isinstance(item, (list, tuple)) and len(item) > _SENTENCES:
            said = [clean(str(sentence)) for sentence in item[:_SENTENCES]]
            return [*said, f"({len(item) - _SENTENCES} more, too long for the journal)"]
        if isinstance(item, str):
            return item if key in _IDENTITIES else clean(item, _SHORT)
        return _mapped(item, change)

    return _mapped(value, change)


def _no_facts(value: object) -> object:
    """Verdicts without what was seen of the process, since the evidence says what mattered."""

    def change(_: str, item: object) -> object:
        return _without(_mapped(item, change), "facts")

    return change("", value)


def _names_alone(value: object) -> object:
    """Verdicts without the evidence; each says so."""

    def change(_: str, item: object) -> object:
        item = _mapped(item, change)
        if isinstance(item, dict) and item.get("evidence"):
            return {**_without(item, "grade"), "evidence": ["(left out)"]}
        return item

    return change("", value)


def _without(value: Any, key: str) -> Any:
    return {name: item for name, item in value.items() if name != key} if isinstance(value, dict) else value


def _cut_lists(value: object, keep: int) -> object:
    """At most ``keep`` of each list, with ``*_left_out`` beside it in the object that has it."""
    if not isinstance(value, dict):
        return value
    cut: dict[str, object] = {}
    for key, item in value.items():
        cut[key] = item[:keep] if isinstance(item, list) else _cut_lists(item, keep)
        if isinstance(item, list) and len(item) > keep:
            cut[f"{key}_left_out"] = len(item) - keep
    return cut
