"""A project's own wishes: ``sentinel.toml`` in its directory, or ``[tool.sentinel]`` in its pyproject.toml.

A project file is data. It may come with a repository that somebody else wrote: so it is read
as strictly as the configuration, it cannot point out of its directory, and what it wants to
have run is run only after `sentinel allow` (docs/decisions/0013).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, convert, json

from sentinel import config
from sentinel.errors import ConfigError

NAMES = ("sentinel.toml", "pyproject.toml")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,62}")
_Port = Annotated[int, Meta(ge=1, le=65535)]
_Text = Annotated[str, Meta(min_length=1)]


class Wishes(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a project file may say. An empty text says nothing."""

    name: str = ""
    procfile: str = ""
    """Relative to the project's directory."""
    ports: tuple[_Port, ...] = ()
    patterns: tuple[_Text, ...] = ()
    """Regular expressions: what command lines of the project's processes have in them."""
    protected: tuple[_Text, ...] = ()
    """Patterns (fnmatch) of the kernel's names of programs that are never ended here."""
    start: str = ""
    """A shell command that starts the environment and stays in the foreground."""
    logs: str = ""
    """A directory, relative to the project's."""

    @property
    def runs_something(self) -> bool:
        """Whether it says what is to be run."""
        return bool(self.start or self.procfile)

    @property
    def normal(self) -> bytes:
        """What it says, whatever its spaces and comments."""
        return json.encode(self)


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    project: Wishes = Wishes()


class _Tool(Struct, frozen=True):
    sentinel: Wishes | UnsetType = UNSET


class _PyProject(Struct, frozen=True):
    tool: _Tool = _Tool()


def read(path: Path) -> Wishes | None:
    """What a project file says; None when it is not there, or is a pyproject.toml without our table.

    Raises:
        ConfigError: Others may have written it, it cannot be read, or it makes no sense.
    """
    foreign = path.name == "pyproject.toml"
    if foreign and not _mentions_us(path):
        return None
    content = config.read(path)
    if content is None:
        return None
    import tomllib

    shape: type[_PyProject | _File] = _PyProject if foreign else _File
    try:
        found = convert(tomllib.loads(content.decode("utf-8-sig")), shape)
    except (ValidationError, ValueError, RecursionError) as error:
        from sentinel.config_errors import explain

        raise ConfigError(f"{path}:{explain(error, content, shape)}") from error
    wishes = found.tool.sentinel if isinstance(found, _PyProject) else found.project
    if wishes is UNSET:
        return None
    if wrong := _what_is_wrong(wishes):
        raise ConfigError(f"{path}: {wrong}")
    return wishes


def _mentions_us(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return b"tool.sentinel" in file.read(config.LARGEST)
    except OSError:
        return False


def _what_is_wrong(wishes: Wishes) -> str:
    if wishes.name and _NAME.fullmatch(wishes.name) is None:
        return "name must begin with a letter or a digit, and have no more than 63 of those, spaces, and _ . -"
    for key in ("procfile", "logs"):
        value = getattr(wishes, key)
        if os.path.isabs(value) or ".." in value.split("/"):
            return f"{key} must be a path inside of the project"
    if wishes.start and wishes.procfile:
        return "start and procfile are two ways to say what is run: choose one"
    for pattern in wishes.patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            return f"patterns: {pattern!r} is no regular expression: {error}"
    return ""
