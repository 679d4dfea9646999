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

Path = tuple[str | int, ...]
"""The keys that lead to a value, and places in lists."""


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
    found = re.fullmatch(r"(?P<what>.*?)(?: - at `\$\.(?P<where>[a-z_.0-9\[\]]+)`)?", message, re.DOTALL)
    where = found["where"] if found else None
    path: Path = tuple(int(n) if n else key for key, n in re.findall(r"([a-z_]+)|\[(\d+)\]", where or ""))
    value: object = data
    for key in path:
        value, shape = _at(value, key), _inside(shape, key)
    if not isinstance(value, Mapping) or not isinstance(shape, inspect.StructType):
        wanted = f"must be {_wanted(shape)}, not {_shown(value)}{_perhaps(value, _choices(shape))}"
        return path, f"{'each of ' * isinstance(path[-1], int)}{_dotted(path)} {wanted}"
    known = _fields(shape)
    if missing := next((name for name, field in known.items() if field is not None and _lacks(shape, name, value)), ""):
        return path, f"{_section(path)} needs {missing}"
    key = next(key for key in value if key not in known)
    return (*path, key), _unknown_key(path, key, value[key], known)


def _at(value: object, key: str | int) -> object:
    if isinstance(value, Mapping):
        return value.get(key)
    return value[key] if isinstance(value, list) and isinstance(key, int) and key < len(value) else None


def _inside(shape: inspect.Type, key: str | int) -> inspect.Type:
    if isinstance(shape, inspect.VarTupleType):
        return shape.item_type
    return _fields(shape)[str(key)]


def _lacks(shape: inspect.StructType, name: str, value: Mapping[str, object]) -> bool:
    return name not in value and any(field.name == name and field.required for field in shape.fields)


def _dotted(path: Path) -> str:
    return ".".join(key for key in path if isinstance(key, str))


def _section(path: Path) -> str:
    return f"[[{_dotted(path)}]]" if path and isinstance(path[-1], int) else f"[{_dotted(path)}]"


def _unknown_key(path: Path, key: str, value: object, known: Mapping[str, inspect.Type]) -> str:
    is_list = isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)
    is_section = isinstance(value, Mapping) or is_list
    header = _section((*path, key, *((0,) if is_list else ())))
    noun, named = ("section", clean(header)) if is_section else ("key", f'"{clean(key)}"')
    place = f" in {_section(path)}" if path and not is_section else ""
    alike = [name for name, shape in known.items() if _is_section(shape) == is_section]
    if not (meant := _closest(key, alike)):
        return f"unknown {noun} {named}{place}; known here: {', '.join(known)}"
    in_a_list = isinstance(known[meant], inspect.VarTupleType)
    shown = _section((*path, meant, *((0,) if in_a_list else ()))) if is_section else f'"{meant}"'
    return f"unknown {noun} {named}{place}; did you mean {shown}?"


def _is_section(shape: inspect.Type) -> bool:
    if isinstance(shape, inspect.VarTupleType):
        shape = shape.item_type
    return isinstance(shape, inspect.StructType)


def _closest(word: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(word.lower(), known, n=1)), "")


def _perhaps(word: object, known: Iterable[str]) -> str:
    close = _closest(word, known) if isinstance(word, str) else ""
    return f'; did you mean "{close}"?' if close else ""


def _fields(shape: inspect.Type) -> dict[str, inspect.Type]:
    return {f.name: f.type for f in shape.fields} if isinstance(shape, inspect.StructType) else {}


def _choices(shape: inspect.Type) -> list[str]:
    match shape:
        case inspect.EnumType(cls=cls):
            return [str(member.value) for member in cls]
        case inspect.LiteralType(values=values):
            return [str(value) for value in values]
    return []


_WORDED = {
    r"^(?:/|~/|~$)": "a path that begins with / or ~/",
    r"^(?:(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d)?$": 'hours like "22:00-07:00"',
    r"^(?:/|~/)(?:[^*?\[]*/)?[^/]+$": "a path that begins with / or ~/, with wildcards in its last part only",
}
"""What the patterns of the configuration want, in words."""


def _wanted(shape: inspect.Type) -> str:
    match shape:
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low:g} to {high:g}"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType(pattern=pattern, max_length=longest):
            text = _WORDED[pattern] if pattern else "a text that is not empty"
            return f"{text}, of {longest} characters at most" if longest else text
        case inspect.VarTupleType(item_type=inspect.StructType()):
            return "sections in double brackets"
        case inspect.VarTupleType(item_type=inspect.IntType()):
            return "a list of whole numbers"
        case inspect.VarTupleType():
            return "a list of texts"
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
        if isinstance(data, list):
            if not isinstance(key, int) or key >= len(data):
                return False
            data = data[key]
        elif isinstance(data, Mapping) and key in data:
            data = data[key]
        else:
            return False
    return True
