"""``sentinel nuke``: everything that Sentinel knows of, after a person has seen the list."""

from __future__ import annotations

import sys

import click

from sentinel import paths
from sentinel.cli.alone import look_around
from sentinel.cli.projects import PATIENCE, indented, say, stopping
from sentinel.cli.surgery import UNDONE, agreed
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.environments.exclusion import alone
from sentinel.environments.nuking import Listed, Nuke, number
from sentinel.environments.project import Project
from sentinel.errors import SentinelError


@click.command("nuke")
@click.option("-y", "--yes", is_flag=True, help="Say yes to what is listed.")
@click.option("--grace", type=click.FloatRange(0, 600), default=2.0, show_default=True, help="Seconds to end in peace.")
def command(*, yes: bool, grace: float) -> None:
    """List every tmux session, every watched process and all that projects own; end it when you say so.

    Never ended: what this command hangs on, the agent and what that hangs on, other users'
    processes, and whatever a guard speaks for. Each is judged once more before it is signalled.

    Exit status: 0 all that was listed to be ended is; 1 something of it stays, or files of a project, or you said no.
    """
    where = paths.find()
    if trouble := paths.prepare(where):
        raise SentinelError(trouble)
    nuke = Nuke(where, lambda ledger: look_around(where, ledger))
    shown = nuke.listed()
    _show(nuke, shown)
    doomed = [one for one in shown if not one.spared]
    if doomed and not agreed("End all of these?", yes=yes):
        sys.exit(1)
    undone = [one for one in nuke.end(shown, grace).values() if one.result in UNDONE] if doomed else []
    for outcome in undone:
        say(f"pid {outcome.target.partition('@')[0]} ({outcome.name}): {outcome.result}, {outcome.reason}")
    untidy = [project for project in nuke.projects if not _tidied(where, project)]
    spared = count(sum(bool(one.spared) for one in shown), "process")
    stays = "something stays that was to be ended" if undone else f"the files of {count(len(untidy), 'project')} stay"
    say(stays if undone or untidy else f"all clear; spared: {spared}")
    sys.exit(1 if undone or untidy else 0)


def _show(nuke: Nuke, shown: list[Listed]) -> None:
    for project in nuke.projects:
        if project.trouble:
            say(f"{project.trouble}; of project {project.name} only what shows without it is listed")
    for line in nuke.sessions():
        say(line)
    for title, stays in (("To be ended:", False), ("Spared:", True)):
        some = [one for one in shown if bool(one.spared) is stays]
        if some:
            say(title)
        for one in some:
            why = f"{one.why}; {one.spared}" if one.spared else one.why
            indented(f"{one.facts.id.pid:>8}  {clean(one.facts.name):<16} {why}")
    say(number(shown))


def _tidied(where: paths.Paths, project: Project) -> bool:
    """Remove the files that a project left. Who was spared stays, though he may be the project's."""
    say(f"project {project.name} ({project.directory})")
    try:
        with alone(where, project, "nuke", PATIENCE):
            stopping(where, project).tidy()
    except SentinelError as error:  # another process is at it, or Sentinel was paused: the others have their turn
        indented(str(error))
        return False
    return True
