"""Data made fit for a line of the journal: no harmful character in it, and ever shorter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sentinel.core.sanitise import clean

_LONGEST_TEXT = 4096
"""Characters of one string: a path fits."""


def cleaned(value: object) -> object:
    """The same data with every string clean."""
    if isinstance(value, str):
        return clean(value, _LONGEST_TEXT)
    return _mapped(value, lambda _, item: cleaned(item))


def shorter(value: object) -> Iterator[object]:
    """The same data ever shorter; what goes first is what one can do without. Each says what it lacks."""
    for shorten in (_few_sentences, _no_facts, _names_alone):
        value = shorten(value)
        yield value
    keep = _MANY
    while keep:
        keep //= 2
        yield _cut_lists(value, keep)


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
