"""``sentinel service``: the agent as a service of systemd or launchd."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import click

from sentinel import config, instance, paths
from sentinel.cli import install, screen, uninstall
from sentinel.cli.numbers import Number
from sentinel.core.sanitise import clean
from sentinel.service import manager
from sentinel.service.installed import is_installed

_RUNS, _STOPPED = 0, 3  # LSB: exit status of the status action


@click.group("service", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Have systemd or launchd keep the agent running.

    Exit status of each: 0 done (status: it runs), 1 not done, 3 it does not run (status), 4 nobody here keeps
    services for you, 78 the configuration is wrong (start, restart, reload).
    """


def _manager() -> manager.Manager:
    return manager.find(paths.find().state)


@command.command("install")
@click.pass_context
def install_service(context: click.Context) -> None:
    """Start the agent now and at each log-in."""
    context.invoke(install.command, only=("service",), dry_run=False, yes=True)


@command.command("uninstall")
@click.pass_context
def uninstall_service(context: click.Context) -> None:
    """End the agent, and have it started no more. What is known of your sessions stays."""
    context.invoke(uninstall.command, only=("service",), dry_run=False, yes=True, keep_history=True)


@command.command("start")
def start() -> None:
    """Start the agent; returns when everything is watched. With a wrong configuration it is not tried (status 78)."""
    _tell_readable("start")


@command.command("stop")
def stop() -> None:
    """End the agent until the next start. Nothing of yours ends with it."""
    _manager().tell("stop")


@command.command("restart")
def restart() -> None:
    """End the agent and start it anew. What is watched stays watched.

    With a wrong configuration (status 78) the agent stays as it is.
    """
    _tell_readable("restart")


@command.command("reload")
def reload() -> None:
    """Have the agent read its configuration again. A wrong one is refused here (status 78), and changes nothing."""
    _tell_readable("reload")


def _tell_readable(verb: str) -> None:
    """Have it done if the configuration can be used: who mistyped it is here, and a failed start names no line."""
    config.load(paths.find().config_file)
    _manager().tell(verb)


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(*, as_json: bool) -> None:
    """Show how the service is. Exit status: 0 it runs, 3 it does not, 4 nobody here keeps services."""
    where = paths.find()
    keeper = manager.find(where.state)
    state = keeper.state()
    others = _another_agent(where, state)
    if as_json:
        fields = {name: getattr(state, name) for name in state.__dataclass_fields__}
        click.echo(json.dumps({"installed": is_installed(), **fields, "another_agent": others}))
    else:
        screen.say("\n".join(_lines(keeper, state, others)))
    sys.exit(_RUNS if state.running else _STOPPED)


@command.command("logs")
@click.option("-n", "--lines", type=Number(0, 100_000), default=50, show_default=True, help="How many.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
def logs(*, lines: int, follow: bool) -> None:
    """Show what the service said: its starts, ends and errors. What it did is in: sentinel events."""
    words = _manager().logs(lines=lines, follow=follow)
    os.execvp(words[0], words)  # noqa: S606 - the pager, Ctrl-C and the exit status are that command's


def _another_agent(where: paths.Paths, state: manager.State) -> int:
    """The pid of an agent that runs without the manager; 0 when none does."""
    found = instance.look(where)
    runs = found.condition is instance.Condition.RUNNING
    return found.pid if runs and found.pid is not None and found.pid != state.pid else 0


def _lines(keeper: manager.Manager, state: manager.State, others: int) -> Iterator[str]:
    if not is_installed():
        yield "The service is not installed; do it with: sentinel install"
    else:
        yield f"The service is installed ({clean(str(keeper.file), 400)})" + (
            ", and starts at each log-in." if state.enabled else ", and does not start at the log-in."
        )
    if state.running:
        again = f", started again {state.restarts} times" if state.restarts > 1 else ""
        again = ", started again once" if state.restarts == 1 else again
        yield f"It runs (pid {state.pid}, since {clean(state.since)}{again})."
        if state.says:
            yield f"It says: {clean(state.says)}."
    elif state.failed:
        yield f"It has failed ({clean(state.failed)}): see sentinel service logs, and sentinel doctor."
    elif is_installed():
        yield "It does not run; start it with: sentinel service start"
    if others:
        yield f"An agent runs without it (pid {others})."
    if state.lingers is False and is_installed():
        yield "It ends when you log out for the last time; to have it stay: loginctl enable-linger"
