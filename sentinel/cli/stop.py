"""``sentinel stop``: a project's dev environment, and all that it left."""

from __future__ import annotations

import sys

import click

from sentinel.cli.projects import PATIENCE, project_argument, ready, say, stopping
from sentinel.environments.exclusion import alone


@click.command("stop")
@project_argument
@click.option(
    "--level",
    type=click.Choice(["graceful", "aggressive"]),
    default="graceful",
    help="Whether what stands over it is asked to quit first, and how long what is asked to end may take.",
)
def command(*, project: str | None, level: str) -> None:
    """Stop a project, and end and remove what it still owns. Can be said as often as one likes.

    PROJECT is a directory or a name; by default the project that you are in.

    Exit status: 0 nothing of it is left; 1 something stays, or nothing may be ended now.
    """
    from sentinel.environments.stopping import Level

    where, found = ready(project)
    with alone(where, found, "stop", PATIENCE):
        say(f"stopping {found.name} ({found.directory})")
        is_gone = stopping(where, found).all(Level(level))
    say(f"{found.name} is stopped" if is_gone else f"of {found.name} something stays")
    sys.exit(0 if is_gone else 1)
