"""Sentinel's unit for systemd's user manager: its text, and what the manager says of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

UNIT = "sentinel.service"
_NEEDS_QUOTES = re.compile(r"[^A-Za-z0-9_@%+=:,./-]")


def unit(command: Sequence[str]) -> str:
    """The text of the unit that runs ``command agent``.

    Args:
        command: The program and its first arguments; the program by its absolute path.

    Raises:
        ValueError: systemd could not run that.
    """
    if not command or not command[0].startswith("/"):
        raise ValueError("a unit names its program by an absolute path")
    text = resources.files("sentinel.service").joinpath(UNIT).read_text(encoding="utf-8")
    program, *arguments = command
    # No variables are put into the program's own path, so a dollar sign stands for itself there.
    words = [quote(program), *(quote(word).replace("$", "$$") for word in arguments)]
    return text.replace("@COMMAND@", " ".join(words))


def quote(word: str) -> str:
    """A word as ``ExecStart=`` takes it (systemd.service(5), "Command lines"), but for variables.

    Raises:
        ValueError: It holds a control character.
    """
    if not word.isprintable():
        raise ValueError(f"a unit cannot hold the word {word!r}")
    escaped = word.replace("%", "%%")
    if word and not _NEEDS_QUOTES.search(word):
        return escaped
    inner = escaped.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'


def place(environ: Mapping[str, str], home: Path) -> Path:
    """Where a person's own units lie (systemd.unit(5), "User Unit Search Path")."""
    base = environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else home / ".config") / "systemd" / "user" / UNIT


def properties(output: str) -> dict[str, str]:
    """What ``systemctl show`` printed, by name."""
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def lingers(user: str, flags: Path = Path("/var/lib/systemd/linger")) -> bool:
    """Whether the user's manager, and so the service, lives on after the log-out (loginctl enable-linger).

    Args:
        user: The log-in name.
        flags: Where logind keeps a file of that name for each user who asked for it.
    """
    return os.path.lexists(flags / user)
