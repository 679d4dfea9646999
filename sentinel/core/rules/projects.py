"""Which processes are a project's, when its own user asks for the project to be stopped.

The ledger proves descent. Where nobody kept one, a project is known by two things that agree:
a process works inside of the project's directory, *and* it does what only the project does:
it listens on one of its ports, its command line has one of its patterns, its environment
names a session of the project that has ended, or it is a tmux server of the name that
Overmind gives to the project's. Neither is enough alone: an editor works there too, and a
stranger may have the port (docs/decisions/0013).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sentinel.core.candidates import Mark
from sentinel.core.facts import ProcessFacts
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.guards.around import unit_of
from sentinel.core.rules.directories import INSTANCE, slug


@dataclass(frozen=True, slots=True)
class Grounds:
    """By what a project's processes are known."""

    directory: str
    """Absolute, symlinks resolved."""
    ports: frozenset[int] = frozenset()
    patterns: tuple[re.Pattern[str], ...] = ()
    titles: frozenset[str] = frozenset()
    """How Overmind writes the project's names, see ``slug``."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One process of the user, as one look saw it."""

    facts: ProcessFacts
    directory: str
    """Where it works; empty when that is not known."""
    project: str
    """The innermost directory around that which has a project file or a Procfile; else empty."""
    command: str = ""
    ports: tuple[int, ...] = ()
    lost: str = ""
    """How it is known that the parent which bore it has ended; empty when it is not."""
    label: str = ""
    """Of a tmux server: the name of its socket."""
    ended: tuple[Mark, ...] = ()
    """Marks in its environment that name a process which has ended."""


def inside(directory: str, project: str) -> bool:
    """Whether a directory is the project's or lies below it."""
    return directory == project or directory.startswith(project.rstrip("/") + "/")


def claims(seen: Seen, grounds: Grounds) -> tuple[str, ...]:
    """Why a process is the project's, as sentences; empty when it is not.

    Whatever hangs under one that is, is too, and is not asked about here.
    """
    if seen.project != grounds.directory:
        return ()
    grown = tuple(_grounds(seen, grounds))
    return (f"it works in {seen.directory}", *grown) if grown else ()


def _grounds(seen: Seen, grounds: Grounds) -> Iterator[str]:
    if seen.facts.name == TMUX_SERVER:
        instance = INSTANCE.fullmatch(seen.label)
        if instance is not None and instance["title"] in grounds.titles:
            yield f"it is a tmux server of the name that Overmind gives to the project's: {seen.label}"
        return
    if held := [port for port in seen.ports if port in grounds.ports]:
        yield f"it listens on the project's port {', '.join(map(str, held))}"
    if not seen.lost:
        return
    if any(pattern.search(seen.command) for pattern in grounds.patterns):
        yield "its command line has a pattern of the project in it"
        yield seen.lost
    for mark in seen.ended:
        if _names(mark, grounds.titles):
            owner = f"{mark.owner} (pid {mark.pid}) of the project"
            yield f"{mark.variable} in its environment names {owner}, which has ended"
            yield seen.lost


def _names(mark: Mark, titles: frozenset[str]) -> bool:
    """Whether a mark names an Overmind's tmux server, or a `sentinel run`, of the project."""
    if mark.variable == "TMUX":
        found = INSTANCE.fullmatch(mark.value.rsplit(",", 2)[0].rpartition("/")[2])
        return found is not None and found["title"] in titles
    return mark.variable == "SENTINEL_SESSION" and slug(mark.value.rpartition(":")[0]) in titles


def home(cgroup: str, ours: str, *, managed: bool) -> str:
    """The control group in which a claimed process may be expected: where it stands, or none.

    Nobody knows where it was born. But for a service, that is where its terminal put it; a service that
    is not the one that we run in was made by somebody who looks after it, and would start it again.

    Args:
        cgroup: Where it stands.
        ours: Where we stand.
        managed: The project's manager bore it, or it is that: then it is known whose it is, wherever it stands.
    """
    its = unit_of(cgroup)
    return "" if not managed and its.endswith(".service") and its != unit_of(ours) else cgroup
