"""``sentinel restart``: stop, then start; never the manager's own restart, which wants it to be healthy."""

from __future__ import annotations

import sys

import click

from sentinel.cli.projects import PATIENCE, project_argument, ready, say, stopping
from sentinel.cli.start import refuse_unless_allowed, started
from sentinel.environments.exclusion import alone


@click.command("restart")
@project_argument
def command(*, project: str | None) -> None:
    """Stop a project with all that it left, then start it.

    PROJECT is a directory or a name; by default the project that you are in.

    Exit status: 0 it runs; 1 it does not, or not all of it.
    """
    from sentinel.environments.stopping import Level

    where, found = ready(project)
    refuse_unless_allowed(where, found)
    with alone(where, found, "restart", PATIENCE):
        say(f"stopping {found.name} ({found.directory})")
        stopping(where, found).all(Level.GRACEFUL)
        sys.exit(0 if started(where, found) else 1)
