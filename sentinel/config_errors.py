"""What is wrong with a configuration, said so that it can be mended: line, cause, likely meaning.

Imported only when there is something wrong.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Mapping

from msgspec import ValidationError, inspect

from sentinel.core.sanitise import clean

Path = tuple[str, ...]
"""The keys that lead to a value."""


def explain(error: Exception, content: bytes, shape: type) -> str:
    """Say ``LINE: what is wrong`` of a configuration.

    Args:
        error: What decoding, ``tomllib`` or ``msgspec`` raised.
        content: The file.
        shape: The struct it was to become.
    """
    if isinstance(error, UnicodeDecodeError):
        line = content[: error.start].count(b"\n") + 1
        return f"{line}: is not UTF-8 (byte 0x{content[error.start]:02x})"
    text = content.decode("utf-8-sig")
    if isinstance(error, ValidationError):
        path, sentence = _unfit(str(error), tomllib.loads(text), inspect.type_info(shape))
        return f"{_line_of(text, path)}: {sentence}"
    if isinstance(error, tomllib.TOMLDecodeError):
        return _syntax(str(error), text)
    # tomllib lets a number of 5,000 digits (ValueError) and brackets 1,000 deep (RecursionError) through.
    lines = text.split("\n")
    return f"{_whole(lines, len(lines))[0] + 1}: cannot be read: {type(error).__name__}"


def _syntax(message: str, text: str) -> str:
    # tomllib has the place in its sentence only, until Python 3.14.
    what, _, where = message.rpartition(" (at ")
    found = re.match(r"line (\d+), column (\d+)\)", where)
    line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1
    what = what.removesuffix(".")
    return f"{line}: is not TOML: {clean(what[:1].lower() + what[1:])}{f' (column {found[2]})' if found else ''}"


def _unfit(message: str, data: Mapping[str, object], shape: inspect.Type) -> tuple[Path, str]:
    """The place and the sentence for what msgspec refused.

    Of its message only the place is used: what was wanted is known better from the shape.
    Known keys alone lead there, so no key of the user's can spoil the match.
    """
    found = re.fullmatch(r"(?P<what>.*?)(?: - at `\$\.(?P<where>[a-z_.]+)`)?", message, re.DOTALL)
    where = found["where"] if found else None
    path: Path = tuple(where.split(".")) if where else ()
    value: object = data
    for key in path:
        value = value[key] if isinstance(value, Mapping) else None
        shape = _fields(shape)[key]
    if not isinstance(value, Mapping) or not isinstance(shape, inspect.StructType):
        return path, f"{'.'.join(path)} must be {_wanted(shape)}, not {_shown(value)}{_perhaps(value, _choices(shape))}"
    known = _fields(shape)
    key = next(key for key in value if key not in known)
    return (*path, key), _unknown_key(path, key, value[key], known)


def _unknown_key(path: Path, key: str, value: object, known: Mapping[str, inspect.Type]) -> str:
    is_section = isinstance(value, Mapping)
    noun, named = ("section", f"[{clean('.'.join((*path, key)))}]") if is_section else ("key", f'"{clean(key)}"')
    place = f" in [{'.'.join(path)}]" if path and not is_section else ""
    alike = [name for name, shape in known.items() if isinstance(shape, inspect.StructType) == is_section]
    if hint := _perhaps(key, alike, ".".join(path) if is_section else None):
        return f"unknown {noun} {named}{place}{hint}"
    return f"unknown {noun} {named}{place}; known here: {', '.join(known)}"


def _perhaps(word: object, known: Iterable[str], section: str | None = None) -> str:
    close = difflib.get_close_matches(word.lower(), known, n=1) if isinstance(word, str) else []
    if not close:
        return ""
    if section is None:
        return f'; did you mean "{close[0]}"?'
    return f"; did you mean [{'.'.join(filter(None, (section, close[0])))}]?"


def _fields(shape: inspect.Type) -> dict[str, inspect.Type]:
    return {f.name: f.type for f in shape.fields} if isinstance(shape, inspect.StructType) else {}


def _choices(shape: inspect.Type) -> list[str]:
    match shape:
        case inspect.EnumType(cls=cls):
            return [str(member.value) for member in cls]
        case inspect.LiteralType(values=values):
            return [str(value) for value in values]
    return []


def _wanted(shape: inspect.Type) -> str:
    match shape:
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low:g} to {high:g}"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.BoolType():
            return "true or false"
        case inspect.StructType():
            return "a section"
    return " or ".join(f'"{choice}"' for choice in _choices(shape))


def _shown(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{clean(value, 60)}"'
        case Mapping():
            return "a section"
        case list():
            return "a list"
    return clean(str(value), 60)


def _line_of(text: str, path: Path) -> int:
    """The line on which the statement that sets ``path`` begins.

    TOML can set a key in five ways (header, dotted key, inline table, ...). The parser
    knows them all: the statement sought is the one that a prefix of the file must have.
    """
    lines = text.split("\n")
    last = bisect_left(range(len(lines)), x=True, key=lambda n: _has(_whole(lines, n)[1], path))
    return _whole(lines, last - 1)[0] + 1


def _whole(lines: list[str], count: int) -> tuple[int, Mapping[str, object]]:
    """The longest start of at most ``count`` lines that does not end within a statement."""
    for n in range(count, 0, -1):
        try:
            return n, tomllib.loads("\n".join(lines[:n]) + "\n")
        except (ValueError, RecursionError):
            continue
    return 0, {}


def _has(data: object, path: Path) -> bool:
    for key in path:
        if not isinstance(data, Mapping) or key not in data:
            return False
        data = data[key]
    return True
