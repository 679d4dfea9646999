"""What Sentinel remembers of a project: how it was started last, and what of its file is allowed.

One small file a project in the state directory. It says nothing that is believed about the
living: a process that it names is compared by boot, pid and start time first.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from sentinel.atomic import replace_file
from sentinel.core.facts import ProcessId
from sentinel.environments.project import Project
from sentinel.observe import processes
from sentinel.paths import Paths

_LARGEST = 1 << 16


@dataclass(frozen=True, slots=True)
class Started:
    """The last start."""

    boot: str
    manager: str
    """``overmind``, ``honcho`` or ``command``."""
    pid: int
    start: int
    """The kernel's start time of the process that stands over the others."""
    since: float
    """Wall-clock seconds since the epoch."""
    by: str
    """Who asked for it, as a noun phrase."""
    logs: str
    """The directory of its logs."""


@dataclass(frozen=True, slots=True)
class Note:
    """What is remembered of one project."""

    directory: str
    name: str = ""
    allowed: str = ""
    """Hash of what its file said when a person allowed it."""
    started: Started | None = None
    allowed_file: str | None = None
    """Which file was allowed; empty where there was none, None where an older Sentinel did not note it."""


def read(where: Paths, project: Project) -> Note:
    """What is remembered of a project; an empty note of one that nobody has started."""
    return _read(_file(where, project.id)) or Note(project.directory, project.name)


def every(where: Paths) -> Iterator[Note]:
    """All that is remembered, of projects that may be gone by now."""
    directory = where.state / "projects"
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        if name.endswith(".json") and (note := _read(directory / name)) is not None:
            yield note


def write(where: Paths, project: Project, note: Note) -> None:
    """Replace what is remembered.

    Raises:
        OSError: It cannot be written.
    """
    path = _file(where, project.id)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, msgspec.json.encode(replace(note, directory=project.directory, name=project.name)))


def root_of(started: Started | None) -> ProcessId | None:
    """Who stood over the others at the last start, if that was in this boot. It may have ended."""
    if started is None or started.boot != processes.boot_id():
        return None
    return ProcessId(started.pid, started.start)


def fingerprint(project: Project) -> str:
    """What a person allows: this file of this directory, saying this."""
    said = b"\0".join((os.fsencode(project.directory), os.fsencode(project.file), project.wishes.normal))
    return hashlib.sha256(said).hexdigest()


def is_allowed(project: Project, note: Note) -> bool:
    """Whether what the project file wants to have run may be run; a file that wants nothing needs no word."""
    return not project.wishes.runs_something or note.allowed == fingerprint(project)


def _file(where: Paths, name: str) -> Path:
    return where.state / "projects" / f"{name}.json"


def _read(path: Path) -> Note | None:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(_LARGEST), type=Note)
    except (OSError, msgspec.MsgspecError):
        return None
