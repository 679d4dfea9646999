"""``sentinel allow``: a person trusts what a project file wants to have run."""

from __future__ import annotations

from dataclasses import replace

import click

from sentinel.cli.projects import PATIENCE, project_argument, ready, say
from sentinel.environments import notes
from sentinel.environments.exclusion import alone
from sentinel.errors import SentinelError


@click.command("allow")
@project_argument
@click.option("--revoke", is_flag=True, help="Trust it no more.")
def command(*, project: str | None, revoke: bool) -> None:
    """Allow what a project file says is to be run, as it says it now.

    When the file says something else, it has to be allowed again.

    PROJECT is a directory or a name; by default the project that you are in.
    """
    where, found = ready(project)
    with alone(where, found, "allow", PATIENCE):
        allowed = "" if revoke else notes.fingerprint(found)
        note = replace(notes.read(where, found), allowed=allowed, allowed_file=found.file)
        try:
            notes.write(where, found, note)
        except OSError as error:
            raise SentinelError(f"that cannot be written down: {error.strerror}") from error
    if revoke:
        say(f"nothing that {found.file or found.directory} says is run from now on")
    elif found.wishes.runs_something:
        say(f"{found.file} may have this run: {found.wishes.start or found.wishes.procfile}")
    else:
        say(f"{found.file or found.directory} wants nothing run: there is nothing to allow")
