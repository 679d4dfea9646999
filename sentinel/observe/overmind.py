"""What an Overmind instance is, from its arguments and its environment.

Overmind reads settings also from files (``.overmind.env`` and others) which nobody sees
from outside. Where it listens in the end, ``sockets.listening_sockets_of`` tells; what is
said here serves until then, and when it is dead.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from sentinel.core.facts import DirectoryFacts, Unknown
from sentinel.core.rules.directories import INSTANCE, slug
from sentinel.observe import processes
from sentinel.observe.files import look_at_directory, names_in

_SOCKET = "./.overmind.sock"
_SETTINGS = {
    "socket": (("s", "socket"), "OVERMIND_SOCKET"),
    "title": (("w", "title"), "OVERMIND_TITLE"),
    "procfile": (("f", "procfile"), "OVERMIND_PROCFILE"),
    "root": (("d", "root"), "OVERMIND_ROOT"),
}
_TEMPORARY = "/tmp"  # noqa: S108 - where Overmind writes when TMPDIR is not set


@dataclass(frozen=True, slots=True)
class Overmind:
    """An Overmind instance."""

    title: str
    """As a person wrote it; names of files and sockets carry its ``slug``."""
    directory: str
    """Where it works."""
    socket_path: str
    """Where it makes its socket; absolute, symlinks on the way resolved."""
    script_root: str
    """The directory in which it makes its script directory."""


def describe(pid: int) -> Overmind | Unknown:
    """What the Overmind with this pid was told to be."""
    program = processes.program(pid)
    if isinstance(program, Unknown):
        return program
    directory = processes.working_directory(pid)
    if not directory:
        return Unknown(f"where Overmind {pid} works", "its working directory cannot be read")
    argv = program[1]
    settings: dict[str, str] = {}
    for setting, (flags, variable) in _SETTINGS.items():
        value = _flag(argv, flags) or processes.environment(pid, variable)
        if isinstance(value, Unknown):
            return value
        settings[setting] = value
    temporary = processes.environment(pid, "TMPDIR")
    if isinstance(temporary, Unknown):
        return temporary
    procfile = os.path.join(directory, settings["procfile"] or "Procfile")
    root = os.path.join(directory, settings["root"] or os.path.dirname(os.path.normpath(procfile)))
    return Overmind(
        title=settings["title"] or os.path.basename(os.path.normpath(root)),
        directory=directory,
        socket_path=_resolved(os.path.join(directory, settings["socket"] or _SOCKET)),
        script_root=os.path.realpath(os.path.join(directory, temporary or _TEMPORARY)),
    )


def label_of_client(pid: int) -> str:
    """The name (``-L``) of the tmux server to which this process is Overmind's client; empty when it is none."""
    program = processes.program(pid)
    if isinstance(program, Unknown) or program[1][1:3] != ("-C", "-L"):
        return ""
    return "".join(program[1][3:4])


def _flag(argv: Sequence[str], names: Sequence[str]) -> str:
    """The value of a flag in any of the forms that Go takes; empty if it is not given."""
    for position, argument in enumerate(argv):
        flag, equals, value = argument.partition("=")
        if flag.startswith("-") and flag.removeprefix("-").removeprefix("-") in names:
            return value if equals else "".join(argv[position + 1 : position + 2])
    return ""


def _resolved(path: str) -> str:
    """``path`` without symlinks on the way; its last part stays what it is."""
    directory, name = os.path.split(path)
    return os.path.join(os.path.realpath(directory), name)


def script_directories(title: str, root: str) -> list[DirectoryFacts] | Unknown:
    """Every directory in ``root`` that has the name of a script directory of this title."""
    names = names_in(root)
    if isinstance(names, Unknown):
        return names
    found = []
    for name in names:
        instance = INSTANCE.fullmatch(name)
        if instance is None or instance["title"] != slug(title):
            continue
        facts = look_at_directory(os.path.join(root, name))
        if isinstance(facts, Unknown):
            return facts
        if isinstance(facts, DirectoryFacts):
            found.append(facts)
    return found
