"""What a project is: its directory, its processes, its ports, from its own files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sentinel import config
from sentinel.core.rules.directories import slug
from sentinel.core.rules.projects import Grounds
from sentinel.environments import procfile, projectfile
from sentinel.environments.projectfile import Wishes
from sentinel.errors import ConfigError, NoSuchThing

MARKERS = ("sentinel.toml", "Procfile")
"""Files of which one makes a directory a project of its own, beside a table in pyproject.toml."""
_SOCKET = ".overmind.sock"
_SETTINGS = (".env", ".overmind.env")
"""Files of settings that Overmind reads too; the later one wins."""


@dataclass(frozen=True, slots=True)
class Project:
    """A directory in which a person develops something."""

    name: str
    directory: str
    """Absolute, symlinks resolved."""
    processes: Mapping[str, str] = field(default_factory=dict)
    """Commands by name, of the Procfile; none where a command is started instead of it."""
    procfile: str = ""
    """Its path; empty where there is none."""
    ports: tuple[int, ...] = ()
    given: Mapping[str, int] = field(default_factory=dict)
    """The ports that the commands of the processes speak of, by name."""
    base_port: int = 0
    socket: str = ""
    """Where its Overmind listens."""
    titles: frozenset[str] = frozenset()
    """How Overmind writes its names."""
    wishes: Wishes = field(default_factory=Wishes)
    file: str = ""
    """The project file's path; empty where there is none."""
    trouble: str = ""
    """Why its Procfile, or a file of settings, cannot be used; empty when they can, or there are none."""

    @property
    def id(self) -> str:
        """The name of its files and of its lock: the same for the same directory."""
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()
        return f"{slug(os.path.basename(self.directory))[:40]}-{digest[:12]}"

    @property
    def grounds(self) -> Grounds:
        """By what its processes are known."""
        patterns = tuple(map(re.compile, self.wishes.patterns))
        return Grounds(self.directory, frozenset(self.ports), patterns, self.titles)


def find(start: str) -> Project:
    """The project in or around a directory.

    The home directory and what is above it are no projects: everything is inside of them.

    Raises:
        NoSuchThing: There is none.
        ConfigError: Its file cannot be used.
    """
    here = os.path.realpath(start)
    limits = {os.path.realpath(os.path.expanduser("~")), "/"}
    directory = here
    while directory not in limits:
        if (project := at(directory)) is not None:
            return project
        directory = os.path.dirname(directory)
    marks = "a sentinel.toml, a Procfile or a [tool.sentinel] in a pyproject.toml"
    raise NoSuchThing(f"there is no project in {here}: neither there nor above it is {marks}")


def at(directory: str) -> Project | None:
    """The project of this very directory; None where there is none, or somebody else's.

    Raises:
        ConfigError: One of its files cannot be used.
    """
    project = known(directory)
    if project is not None and project.trouble:
        raise ConfigError(project.trouble)
    return project


def known(directory: str) -> Project | None:
    """The same, with a Procfile that cannot be used told as the project's ``trouble``.

    Raises:
        ConfigError: The project file cannot be used: what it protects is not known.
    """
    try:
        if os.stat(directory).st_uid != os.geteuid():
            return None
    except OSError:
        return None
    file, wishes = "", None
    for name in projectfile.NAMES:
        path = Path(directory, name)
        if wishes is None and not _is_ours(path) and (wishes := projectfile.read(path)) is not None:
            file = str(path)
    if wishes is None and not os.path.isfile(os.path.join(directory, "Procfile")):
        return None
    return _described(directory, file, wishes or Wishes())


def innermost(directory: str, around: str) -> str:
    """The nearest directory, from ``directory`` up to ``around``, that is a project of its own; ``around`` at last."""
    while directory.startswith(around.rstrip("/") + "/"):
        if any(os.path.lexists(os.path.join(directory, marker)) for marker in MARKERS):
            return directory
        directory = os.path.dirname(directory)
    return directory if directory == around else ""


def _is_ours(path: Path) -> bool:
    """Whether it is the user's own configuration, which has the same name."""
    from sentinel import paths

    return path == paths.find().config_file


def _described(directory: str, file: str, wishes: Wishes) -> Project:
    settings: dict[str, str] = {}
    processes: dict[str, str] = {}
    trouble = path = ""
    try:
        for name in _SETTINGS:
            settings.update(procfile.parse_settings(_text(Path(directory, name))))
        path = os.path.join(directory, wishes.procfile or settings.get("OVERMIND_PROCFILE") or "Procfile")
        if not wishes.start and os.path.isfile(path):  # one that is not run says nothing of what runs
            processes = _processes(path)
        elif wishes.procfile:
            trouble = f"{file}: there is no Procfile at {path}"
    except ConfigError as error:
        trouble = str(error)
    folder = os.path.basename(directory)
    title = settings.get("OVERMIND_TITLE", "")
    name = wishes.name or title or folder
    given = procfile.ports_of(processes, settings)
    return Project(
        name=name,
        directory=directory,
        processes=processes,
        procfile=path if processes else "",
        ports=tuple(sorted({*wishes.ports, *given.values()})),
        given=given,
        base_port=procfile.base_port(settings),
        socket=_inside(directory, settings.get("OVERMIND_SOCKET", "")) or os.path.join(directory, _SOCKET),
        titles=frozenset(slug(one) for one in (name, title, folder) if one),
        wishes=wishes,
        file=file,
        trouble=trouble,
    )


def _processes(path: str) -> dict[str, str]:
    try:
        return procfile.parse_procfile(_text(Path(path)))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _inside(directory: str, path: str) -> str:
    """A path made absolute, if it stays in the directory; else empty."""
    whole = os.path.normpath(os.path.join(directory, path)) if path else ""
    return whole if whole.startswith(directory + "/") else ""


def _text(path: Path) -> str:
    """The content of a file; empty when it is not there."""
    content = config.read(path)
    return "" if content is None else content.decode("utf-8", "replace")
