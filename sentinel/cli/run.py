"""``sentinel run``: a command as a watched session."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from types import FrameType

import click

from sentinel import client, paths, runs, wire
from sentinel.cli import own_group
from sentinel.core.facts import ProcessId
from sentinel.core.sanitise import clean
from sentinel.errors import NotRunning, SentinelError
from sentinel.observe import processes

_PR_SET_CHILD_SUBREAPER = 36
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # as shells and env(1) say it
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_TERMINALS_OWN = (signal.SIGINT, signal.SIGQUIT)
"""The terminal sends these to the command too, since it is in the same process group: only
the command decides what they mean."""
_AGENT_PATIENCE = 1.0
"""Seconds to wait for an agent that is slow before the command is started all the same. Whatever a command bears
before it is watched has no birth that anybody saw. Where no agent runs nobody waits."""


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.option("--name", metavar="NAME", help="What to call the session; by default the command's name.")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT]...")
def command(name: str | None, argv: tuple[str, ...]) -> None:
    """Run COMMAND as a watched session.

    The terminal is the command's, and so is the exit status. What the command leaves behind
    when it ends, however it ends, is ended too.

    Exit status: the command's own; 127 it was not found, 126 it cannot be run.
    """
    if name == "--":  # it was forgotten, and the name would be the command's
        raise click.UsageError("--name wants a name")
    if not _is_there(argv[0]):
        click.echo(f"sentinel: cannot run {clean(argv[0])}: command not found", err=True)
        sys.exit(_NOT_FOUND)
    where = paths.find()
    trouble = paths.prepare(where)
    if trouble:
        click.echo(f"sentinel: {trouble}", err=True)
    session = Wrapper(where, name or os.path.basename(argv[0]))
    status = session.run(argv)
    sys.stderr.flush()
    os._exit(status)  # taking the interpreter down in order takes 5 ms, and the clean-up waits for our end


class Wrapper:
    """The process between the shell and the command: a child subreaper that waits."""

    def __init__(self, where: paths.Paths, name: str) -> None:
        who = processes.identify(os.getpid())
        if not isinstance(who, ProcessId):
            raise SentinelError(f"cannot find out who we are: {who}")
        self._where = where
        self._who = who
        self._mark = runs.Mark(processes.boot_id(), who.pid, who.start, name, processes.working_directory(who.pid))
        self._group = own_group.make(who)
        self._mark.group = self._group.path if self._group is not None else ""
        self._child = 0
        """The command, from its start until it is reaped: then its number may be somebody else's."""
        self._early: list[int] = []
        """Signals that came before there was anybody to hand them on to."""

    def run(self, argv: tuple[str, ...]) -> int:
        """Start the command, wait for its end, and hand on what it left. Returns the exit status.

        A command that was killed by a signal has this process die of the same one.
        """
        _become_subreaper()
        self._leave_mark()
        watched = self._tell(wire.Register())
        if not watched:
            self._read_wishes()
        heeded = self._take_signals()
        try:
            self._child = command = self._spawn(argv, heeded)
        except OSError as error:
            self._tidy()
            click.echo(f"sentinel: cannot run {clean(argv[0])}: {error.strerror}", err=True)
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        for number in self._early:
            self._forward(number, None)
        began = processes.identify(command)
        self._mark.command = command
        self._leave_mark()
        if watched:
            self._tell(wire.Started(command))
        status = self._wait(command)
        left = [link.id.pid for link in processes.descendants(os.getpid())]
        if left and not self._tell(wire.Leaving(left)) and not self._agent_lives():
            self._clean_up_alone(began, status)
        self._tidy()
        return end_alike(status)

    def _spawn(self, argv: tuple[str, ...], heeded: list[int]) -> int:
        defaults = [*heeded, signal.SIGPIPE, signal.SIGXFSZ]  # the latter two Python ignores, not our starter
        environ = {**os.environ, "SENTINEL_SESSION": f"{self._mark.name}:{os.getpid()}"}
        if self._group is not None and (child := self._group.spawn(argv, environ, defaults)) is not None:
            return child
        return os.posix_spawnp(argv[0], argv, environ, setsigdef=defaults)

    def _tidy(self) -> None:
        runs.erase(self._where.runtime, self._who.pid)
        if self._group is not None:
            self._group.remove()

    def _leave_mark(self) -> None:
        try:
            runs.write(self._where.runtime, self._mark)
        except OSError as error:
            click.echo(f"sentinel: the session cannot be announced: {error.strerror}", err=True)

    def _tell(self, request: wire.Request) -> bool:
        """Whether the agent is there and has taken note."""
        try:
            client.ask(self._where.inbox, request, _AGENT_PATIENCE)
        except NotRunning:
            return False
        except SentinelError as error:
            click.echo(f"sentinel: {error}", err=True)
            return False
        return True

    def _agent_lives(self) -> bool:
        """Whether there is an agent, however slow: it knows what it spares here, and we do not."""
        from sentinel import instance

        free = {instance.Condition.STOPPED, instance.Condition.CRASHED}
        return instance.look(self._where).condition not in free

    def _read_wishes(self) -> None:
        """Nobody else has read them. Who mistyped one is told at once, and keeps the command all the same."""
        from sentinel import config

        try:
            config.load(self._where.config_file)
        except SentinelError as error:
            click.echo(f"sentinel: {clean(str(error), 1000)}; what the command leaves will stay", err=True)

    def _take_signals(self) -> list[int]:
        """Hand on what is sent to us. What we were started to ignore (nohup) stays ignored, by the command too.

        Returns the signals that are not ignored.
        """
        heeded: list[int] = [n for n in (*_FORWARDED, *_TERMINALS_OWN) if signal.getsignal(n) is not signal.SIG_IGN]
        for number in heeded:
            signal.signal(number, signal.SIG_IGN if number in _TERMINALS_OWN else self._forward)
        return heeded

    def _forward(self, number: int, _: FrameType | None) -> None:
        if not self._child:
            self._early.append(number)
            return
        from sentinel.reaper.signals import forward

        forward(self._child, number)

    def _wait(self, command: int) -> int:
        """Reap whatever falls to us until the command itself has ended. Its wait status."""
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == command:
                self._child = 0
                return status

    def _clean_up_alone(self, began: object, status: int) -> None:
        """No agent is there: end what was left with the same judgement and the same hand."""
        from sentinel.cli.alone import clean_up

        root = began if isinstance(began, ProcessId) else ProcessId(self._mark.command, 0)
        try:
            clean_up(self._where, self._mark, root, status)
        except SentinelError as error:  # the command has ended, and how it ended is what counts
            click.echo(f"sentinel: what it left is not cleaned up: {clean(str(error), 1000)}", err=True)


def _is_there(program: str) -> bool:
    """Whether something of that name may be where it is looked for; whether that can be run, the kernel says."""
    directories = [""] if "/" in program else os.get_exec_path()
    return not all(_is_missing(os.path.join(directory, program)) for directory in directories)


def _is_missing(path: str) -> bool:
    try:
        os.stat(path)
    except OSError as error:
        return isinstance(error, (FileNotFoundError, NotADirectoryError))
    return False


def _become_subreaper() -> None:
    """Have orphans of the command fall to us instead of to init (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_alike(status: int) -> int:
    """End as the command did: the exit status to end with, or the same signal to die of."""
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    number = os.WTERMSIG(status)
    _no_core_dump()
    sys.stdout.flush()
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    return 128 + number


def _no_core_dump() -> None:
    """The command has left one, if one was wanted: ours would take its place."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
