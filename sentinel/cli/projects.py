"""What the verbs of projects have in common: which project is meant, who asks, and how lines are said."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from sentinel import paths
from sentinel.cli import screen
from sentinel.core.facts import Unknown
from sentinel.core.sanitise import clean
from sentinel.core.sessions import Kind
from sentinel.environments import notes
from sentinel.environments.project import Project, at, find
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.observe import processes

if TYPE_CHECKING:
    from sentinel.environments.stopping import Stop

PATIENCE = 60.0
"""Seconds to wait for somebody who changes the same project."""
_LONGEST = 2000

project_argument = click.argument("project", required=False, metavar="[PROJECT]")


def chosen(said: str | None, where: paths.Paths) -> Project:
    """The project that is meant: a directory, a name that was started before, or the one that we are in.

    Raises:
        NoSuchThing: There is none.
        ConfigError: Its file cannot be used.
    """
    if said is None:
        return find(os.getcwd())
    if os.path.isdir(said):
        return find(said)
    known = [project for note in notes.every(where) if note.name == said and (project := at(note.directory))]
    if len(known) == 1:
        return known[0]
    if known:
        places = ", ".join(project.directory for project in known)
        raise NoSuchThing(f"there is more than one project called {clean(said)}: say which directory ({clean(places)})")
    raise NoSuchThing(f"no project called {clean(said)} was started here before, and there is no such directory")


def ready(said: str | None) -> tuple[paths.Paths, Project]:
    """Where everything belongs, with its directories made, and the project that is meant.

    Raises:
        SentinelError: There is no place for the journal, without which nothing may be ended.
    """
    where = paths.find()
    project = chosen(said, where)
    if trouble := paths.prepare(where):
        raise SentinelError(trouble)
    return where, project


def say(line: str) -> None:
    """Write a line, fit to be shown."""
    screen.say(clean(line, _LONGEST))


def indented(line: str) -> None:
    """Write a line that belongs to the one above it."""
    say(f"  {line}")


def who_asks() -> str:
    """Who runs this command: a coding agent above us, a terminal, or what started us."""
    from sentinel.agents.recognise import recognise

    chain = processes.chain(os.getppid())
    for link in chain if not isinstance(chain, Unknown) else ():
        program = processes.program(link.id.pid)
        found = None if isinstance(program, Unknown) else recognise(*program, link.name)
        if found is not None and found.kind is Kind.AGENT:
            return f"{found.name} (pid {link.id.pid})"
    for fd in range(3):
        try:
            return f"somebody at {os.ttyname(fd)}"
        except OSError:
            continue
    return f"{clean(processes.comm(os.getppid())) or 'a process'} (pid {os.getppid()}), without a terminal"


def stopping(where: paths.Paths, project: Project, *, for_a_start: bool = False) -> Stop:
    """What stops a project, or clears the way for its start. Imported late: it brings the judge, and the hand."""
    from sentinel.cli.alone import look_around
    from sentinel.environments.stopping import Stop

    return Stop(where, project, lambda ledger: look_around(where, ledger), indented, for_a_start=for_a_start)
