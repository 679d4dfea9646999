"""``sentinel start``: a project's dev environment, in the background."""

from __future__ import annotations

import sys

import click

from sentinel import paths
from sentinel.cli.projects import PATIENCE, indented, project_argument, ready, say, stopping, who_asks
from sentinel.core.sanitise import clean
from sentinel.environments import notes
from sentinel.environments.exclusion import alone
from sentinel.environments.project import Project
from sentinel.environments.scene import Survey
from sentinel.environments.wording import command as command_for
from sentinel.errors import SentinelError


@click.command("start")
@project_argument
def command(*, project: str | None) -> None:
    """Start a project in the background, with its logs in files. Needs no terminal.

    What is left of it is cleared away first; a port that somebody else has is named, and
    nothing is started. Of one that runs already it says who started it, and where it answers.

    PROJECT is a directory or a name; by default the project that you are in.

    Exit status: 0 it runs; 1 it does not, or not all of it.
    """
    where, found = ready(project)
    refuse_unless_allowed(where, found)
    with alone(where, found, "start", PATIENCE):
        sys.exit(0 if started(where, found) else 1)


def refuse_unless_allowed(where: paths.Paths, project: Project) -> None:
    """A project file may say what is run, but a person must have allowed it.

    Raises:
        SentinelError: Nobody has, or it has changed since.
    """
    note = notes.read(where, project)
    if notes.is_allowed(project, note):
        return
    wanted = project.wishes.start or project.wishes.procfile
    since = "says what is to be run"
    if note.allowed:
        is_new = note.allowed_file not in (None, project.file)
        since = "is new since you allowed this project" if is_new else "has changed since you allowed it"
    raise SentinelError(
        f"{clean(project.file, 400)} {since} ({clean(wanted)}):"
        f" look at it, and when you trust it say: {command_for('allow', project)}"
    )


def started(where: paths.Paths, project: Project) -> bool:
    """Start it; of a start that failed, all that is known is told. The caller holds the project's lock."""
    from sentinel.environments.starting import Start
    from sentinel.environments.survey import survey

    def sweep(seen: Survey) -> bool:
        from sentinel.environments.stopping import Level

        return stopping(where, project, for_a_start=True).sweep(Level.AGGRESSIVE, seen)

    if Start(where, project, sweep, say).run(who_asks()):
        return True
    from sentinel.environments.diagnostics import diagnostics

    seen = survey(where, project)
    for line in diagnostics(where, seen):
        click.echo(line, err=True)
    if seen.runs:
        indented(f"part of it still runs; end that with: {command_for('stop', project)}")
    else:
        indented("nothing of it runs")
    return False
