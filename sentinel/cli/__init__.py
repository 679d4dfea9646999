"""The command line: one module a command, imported only when it runs.

Every way a command can end is decided here: a sentence on standard error and an exit
status, never a traceback for something that Sentinel raises on purpose.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sentinel import __version__
from sentinel.core import sanitise
from sentinel.errors import SentinelError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_INTERRUPTED = 128 + 2  # how shells tell of SIGINT
_CANNOT_WRITE = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""A group was called without a command: the message is our own help, in lines. Click 8.1 prints it itself."""
_LEAST_HELP = 52
"""Columns of a terminal below which click's help would not fit."""
_SENTENCE = 2000
"""Characters that an error may have."""


class Verb(NamedTuple):
    """A command as the table knows it. Its module exports ``command``."""

    module: str
    help: str


COMMANDS: Mapping[str, Verb] = {
    "install": Verb("sentinel.cli.install", "Have Sentinel started at each log-in."),
    "uninstall": Verb("sentinel.cli.uninstall", "Take back what install did."),
    "service": Verb("sentinel.cli.service", "Start, stop and look at the installed agent."),
    "agent": Verb("sentinel.cli.agent", "Watch your sessions in the foreground."),
    "run": Verb("sentinel.cli.run", "Run a command as a watched session."),
    "session": Verb("sentinel.cli.session", "Register a script or program as a watched session."),
    "status": Verb("sentinel.cli.status", "Show how the agent is, or a project."),
    "sessions": Verb("sentinel.cli.sessions", "List the watched sessions."),
    "start": Verb("sentinel.cli.start", "Start a project in the background."),
    "stop": Verb("sentinel.cli.stop", "Stop a project, and end what it left."),
    "restart": Verb("sentinel.cli.restart", "Stop a project, then start it."),
    "nuke": Verb("sentinel.cli.nuke", "End everything that Sentinel knows of, after you saw the list."),
    "logs": Verb("sentinel.cli.logs", "Show what a project's processes wrote."),
    "allow": Verb("sentinel.cli.allow", "Allow what a project file wants to have run."),
    "events": Verb("sentinel.cli.events", "Show what happened, and what comes."),
    "keep": Verb("sentinel.cli.keep", "Have a process or a session left alone, whatever happens."),
    "pause": Verb("sentinel.cli.pause", "End nothing for now."),
    "resume": Verb("sentinel.cli.resume", "Act again after a pause, or after Sentinel stopped itself."),
    "clean": Verb("sentinel.cli.clean", "End what was left behind before Sentinel watched."),
    "doctor": Verb("sentinel.cli.doctor", "Find what is wrong, and mend it when you say so."),
    "hooks": Verb("sentinel.cli.hooks", "Have tmux and your coding agents tell Sentinel what they do."),
    "notify": Verb("sentinel.cli.notify", "Show whether Sentinel can tell you something."),
    "undo": Verb("sentinel.cli.undo", "Put back what was removed."),
    "lock": Verb("sentinel.cli.lock", "Take, give back and look at locks, from scripts."),
    "explain": Verb("sentinel.cli.explain", "Say what Sentinel knows of a thing, and what it would do."),
}


class Commands(click.Group):
    """A group whose commands are imported one by one, when they run."""

    def __init__(self, *args: Any, verbs: Mapping[str, Verb] = COMMANDS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands in the order in which a person meets them."""
        return list(self._verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the module of a command."""
        verb = self._verbs.get(cmd_name)
        if verb is None:
            return None
        command: click.Command = importlib.import_module(verb.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Refuse an unknown command with the one that was meant."""
        name = args[0]
        if name not in self._verbs and not name.startswith("-"):
            import difflib

            close = difflib.get_close_matches(name, self._verbs, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"there are: {', '.join(self._verbs)}"
            raise click.UsageError(f'no command "{name}"; {hint}', ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands, without importing what they name: a shell waits for this."""
        from click.shell_completion import CompletionItem

        known = self._verbs.items()
        offered = [CompletionItem(name, help=verb.help) for name, verb in known if name.startswith(incomplete)]
        return [*offered, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the table, without importing what it names."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in self._verbs.items()])


@click.group(
    "sentinel", cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, message="sentinel %(version)s")
@click.pass_context
def sentinel(context: click.Context) -> None:
    """End what dead sessions leave behind, and nothing else."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(group: click.Group = sentinel) -> int:
    """Run the command line and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where the caller has closed it
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _status(group)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SentinelError as error:
        return _say(str(error), error.exit_code)
    except _HELP as error:
        return _say_lines(error.format_message(), error.exit_code)
    except click.ClickException as error:
        return _say(_in_one_line(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except OSError as error:
        if error.errno not in _CANNOT_WRITE or error.filename is not None:
            raise
        give_up_output()
        return 1 if error.errno == errno.EPIPE else _say(f"cannot write: {error.strerror}", 1)
    return status


def _status(group: click.Group) -> int:
    try:
        status = group.main(prog_name="sentinel", standalone_mode=False, **_narrow())
    except SystemExit as leaving:
        if isinstance(leaving.code, str):
            raise
        status = leaving.code
    return status if isinstance(status, int) else 0


def _narrow() -> dict[str, Any]:
    """Where help has to be narrower than click makes it by itself: 50 columns at least."""
    from sentinel.cli import screen

    columns = screen.width()
    return {"terminal_width": columns - 2} if 0 < columns < _LEAST_HELP else {}


def _in_one_line(error: click.ClickException) -> str:
    message = error.format_message()
    # Click puts the choices of a missing argument on lines of their own.
    return " ".join(message.split()) if isinstance(error, click.MissingParameter) else message


def _say(sentence: str, status: int) -> int:
    from sentinel.cli import screen

    with suppress(OSError):
        screen.say(f"sentinel: {sanitise.clean(sentence, _SENTENCE)}", err=True)
    return status


def _say_lines(text: str, status: int) -> int:
    with suppress(OSError):
        click.echo(text, err=True)
    return status


def refuse_root(why: str) -> None:
    """For verbs that are of use to a user alone.

    Raises:
        SentinelError: It is root, and nobody has said that this is meant (``SENTINEL_ALLOW_ROOT``).
    """
    if os.getuid() == 0 and not os.environ.get("SENTINEL_ALLOW_ROOT"):
        raise SentinelError(why)


def give_up_output() -> None:
    """Keep the interpreter from trying again, and complaining, when it flushes at its end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
