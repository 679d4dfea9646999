"""Where locks are looked for: a list that everybody can read, and what the user adds to it."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

IN_PROJECTS = (".git/index.lock", "tmp/pids/*.pid", ".specweave/state/*", "*.lock", "*.pid", ".*.lock", ".*.pid")
"""In the directories that sessions work in."""
IN_HOME = (
    ".claude/sessions/*.json",
    ".config/google-chrome/SingletonLock",
    ".config/chromium/SingletonLock",
    ".config/BraveSoftware/Brave-Browser/SingletonLock",
    ".config/microsoft-edge/SingletonLock",
)
_GIT_FILE = b"gitdir: "
_LONGEST = 4096


@dataclass(slots=True)
class Places:
    """Directories to be watched, with the names of the locks in each."""

    patterns: dict[str, set[str]] = field(default_factory=dict)
    """A directory that is only on the way to another one has none."""

    def add(self, base: str, pattern: str) -> None:
        """Look for ``pattern`` below ``base``; only its last part may have wildcards in it."""
        *directories, name = pattern.split("/")
        here = base
        self.patterns.setdefault(here, set())
        for part in directories:
            here = os.path.join(here, part)
            self.patterns.setdefault(here, set())
        self.patterns[here].add(name)

    def holds(self, path: str) -> bool:
        """Whether a path is that of a lock, by its name."""
        directory, _, name = path.rpartition("/")
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns.get(directory, ()))

    def found(self) -> Iterator[str]:
        """What is there now, by name."""
        for directory, patterns in sorted(self.patterns.items()):
            try:
                names = sorted(os.listdir(directory)) if patterns else []
            except OSError:
                continue
            yield from (path for name in names if self.holds(path := f"{directory}/{name}"))


def places(directories: Iterable[str], wishes: Iterable[str], *, home: str) -> Places:
    """Where to look.

    Args:
        directories: In which sessions work.
        wishes: Patterns of the configuration, absolute or with ``~``.
        home: The user's own.
    """
    found = Places()
    for project in sorted({root for directory in directories if (root := project_of(directory, home))}):
        for pattern in IN_PROJECTS:
            found.add(project, pattern)
        if elsewhere := _git_directory(project):
            found.add(elsewhere, "index.lock")
    for pattern in IN_HOME:
        base, name = os.path.split(os.path.join(home, pattern))
        if os.path.isdir(base):
            found.add(base, name)
    for wish in wishes:
        base, name = os.path.split(os.path.expanduser(wish))
        found.add(os.path.realpath(base), name)
    return found


def project_of(directory: str, home: str) -> str:
    """The work tree of git that a directory is in, else itself. Empty for home and what is above it.

    Everything is inside of those, and their files are nobody's project.
    """
    if not os.path.isabs(directory):
        return ""
    here = directory = os.path.realpath(directory)
    limits = {os.path.realpath(home), "/", "/tmp", "/var/tmp"}  # noqa: S108 - to be left alone
    while here not in limits:
        if os.path.lexists(os.path.join(here, ".git")):
            return here
        here = os.path.dirname(here)
    return "" if directory in limits or os.path.realpath(home).startswith(f"{directory}/") else directory


def _git_directory(project: str) -> str:
    """Where git keeps the index of a second work tree, which has a file where others have ``.git``."""
    try:
        with open(os.path.join(project, ".git"), "rb") as file:
            line = file.read(_LONGEST)
    except OSError:
        return ""
    if not line.startswith(_GIT_FILE):
        return ""
    return os.path.realpath(os.path.join(project, os.fsdecode(line[len(_GIT_FILE) :].strip())))
