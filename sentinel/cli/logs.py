"""``sentinel logs``: what a project's processes have written."""

from __future__ import annotations

import sys

import click

from sentinel import paths
from sentinel.cli import screen
from sentinel.cli.numbers import Number
from sentinel.cli.projects import chosen, say
from sentinel.core.sanitise import clean
from sentinel.errors import NoSuchThing

_LONGEST = 2000
_WHY_NOTHING = "nothing was written, or what wrote it holds it back (for Python: PYTHONUNBUFFERED=1)"


@click.command("logs")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@click.option("-n", "--lines", type=Number(min=0), default=50, show_default=True, help="How many of each.")
@click.option("--project", metavar="PROJECT", help="A directory or a name; by default the project that you are in.")
def command(*, names: tuple[str, ...], follow: bool, lines: int, project: str | None) -> None:
    """Show the last lines that the processes of a project wrote, each with its process's name.

    NAME is a process of the Procfile, or `manager` for what stands over them.
    """
    from sentinel.environments import logs
    from sentinel.environments.launch import logs_of

    where = paths.find()
    found = chosen(project, where)
    directory = logs_of(where, found)
    there = logs.names(directory)
    if unknown := [name for name in names if name not in there and name not in found.processes]:
        known = ", ".join(there) or "none yet: they are written by what `sentinel start` starts"
        raise NoSuchThing(f"there is no log of {clean(unknown[0])}; there are: {clean(known)}")
    shown = list(names) or there
    width = max((len(name) for name in shown), default=0)

    def tell(name: str, line: str) -> None:
        click.echo(clean(f"{name:<{width}} | {line}", _LONGEST))  # not broken: lines stay what they were written as

    if not follow:
        if not shown:
            say(f"there are no logs of {found.name} yet")
        lasts = [(name, line) for name in shown for line in logs.tail(directory, name, lines)]
        for name, line in lasts:
            tell(name, line)
        if shown and lines and not lasts:
            screen.say(f"sentinel: nothing is in the log of {clean(', '.join(shown))}: {_WHY_NOTHING}", err=True)
        return
    for _ in logs.follow(directory, names, lines, tell):
        sys.stdout.flush()
