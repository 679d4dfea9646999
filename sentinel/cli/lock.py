"""``sentinel lock``: locks for shell scripts, which fall with their holder."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from sentinel.cli import screen
from sentinel.cli.numbers import Pid
from sentinel.core.sanitise import clean
from sentinel.errors import NoSuchThing

if TYPE_CHECKING:
    from types import FrameType

    from sentinel.core.rules.locks import Standing
    from sentinel.locks import Lock

_STATUS = {"free": 0, "stale": 0, "held": 1, "unknown": 4}
"""Of ``check``. 2 is a command that was used wrongly; 4 is "unknown" with LSB's ``status``, too."""
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_GO = b"g"
_TIMEOUT = click.option(
    "--timeout",
    default="10s",
    metavar="TIME",
    show_default=True,
    help="How long to wait for it: 500ms, 5s, 1m; 0: not.",
)
_SESSION = click.option("--session", default="", metavar="NAME", help="Shown to whoever finds it held.")
_PID = click.option("--pid", type=Pid(), help="Its holder; by default what runs this command: a script's shell.")


@click.group("lock", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Take, give back and look at locks, from scripts.

    A lock is a file that says which process holds it. It is free when that process has ended,
    however it ended, and at whatever age not before.
    """


@command.command("acquire")
@click.argument("path")
@_TIMEOUT
@_PID
@_SESSION
def acquire(path: str, *, timeout: str, pid: int | None, session: str) -> None:
    """Take the lock at PATH for the shell that runs this.

    Exit status: 75 somebody else holds it; 73 no lock can be made there.
    """
    from sentinel.locks import Lock

    Lock(path, timeout=_seconds(timeout), session=session, pid=os.getppid() if pid is None else pid).acquire()


@command.command("release")
@click.argument("path")
@_PID
def release(path: str, *, pid: int | None) -> None:
    """Give the lock at PATH back.

    Exit status: 1 it is not the shell's that runs this.
    """
    from pathlib import Path

    from sentinel.locks.lock import give_back

    holder = os.getppid() if pid is None else pid
    if not give_back(Path(path), lambda found: found.pid == holder):
        raise NoSuchThing(f"{clean(path)} is not held by process {holder}: {_standing(path)[1]}")


@command.command("run")
@click.argument("path")
@_TIMEOUT
@_SESSION
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND [ARGUMENT]...")
def run(path: str, argv: tuple[str, ...], *, timeout: str, session: str) -> None:
    """Run COMMAND while it holds the lock at PATH.

    The command itself is the holder: ending only this command frees nothing before its time.

    Exit status: the command's own; 75 somebody else holds the lock, 73 none can be made there, 127 the
    command was not found, 126 it cannot be run.
    """
    from sentinel.cli.run import end_alike
    from sentinel.locks import Lock

    seconds = _seconds(timeout)
    gate, opener = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(opener)
        _wait_then_become(gate, argv)
    os.close(gate)
    lock = Lock(path, timeout=seconds, session=session, pid=child)
    try:
        lock.acquire()
    except BaseException:
        os.close(opener)  # it ends without having begun
        os.waitpid(child, 0)
        raise
    _hand_on_signals(child)
    status = _begin_and_wait(opener, child, lock)
    sys.exit(end_alike(status))


@command.command("check")
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check(path: str, *, as_json: bool) -> None:
    """Say who holds the lock at PATH, of whatever kind it is.

    Exit status: 0 free, or its holder has ended; 1 held; 4 nobody can tell.
    """
    how, why = _standing(path)
    if as_json:
        click.echo(json.dumps({"path": clean(path, 4096), "standing": how, "why": why}))
    else:
        screen.say(f"{how}: {why.removeprefix('held ')}")
    sys.exit(_STATUS[how])


@command.command("list")
@click.argument("directories", nargs=-1, metavar="[DIRECTORY]...")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
def list_(directories: Sequence[str], *, as_json: bool) -> None:
    """List the locks of projects. By default of the one around you, and those that are watched anyway."""
    for directory in directories:
        if not os.path.isdir(directory):
            raise click.UsageError(f"{clean(directory)} is no directory")
    found = [(path, kind, *_standing(path)) for path, kind in _locks(directories or (os.getcwd(),))]
    if as_json:
        keys = ("path", "kind", "standing", "why")
        click.echo(json.dumps([dict(zip(keys, (clean(row[0], 4096), *row[1:]), strict=True)) for row in found]))
        return
    if not found:
        click.echo("There are no locks.")
    for path, kind, how, why in found:
        screen.say(f"{how:8}{clean(path, 400)}  ({kind}; {why})")


# -- a command that holds a lock ----------------------------------------------------------


def _wait_then_become(gate: int, argv: tuple[str, ...]) -> None:
    """In the child: be the command once the lock is there, or end when it will not be. Does not return."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):  # as we were started, not as Python has them
        signal.signal(number, signal.SIG_DFL)
    status = 0
    try:
        if os.read(gate, 1) == _GO:
            os.execvp(argv[0], argv)  # noqa: S606 - no shell: that is what was asked for
    except OSError as error:
        status = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        os.write(2, f"sentinel: cannot run {clean(argv[0])}: {error.strerror}\n".encode())
    finally:
        os._exit(status)


def _begin_and_wait(opener: int, child: int, lock: Lock) -> int:
    """Let it begin, wait for its end and give the lock back. Its wait status."""
    os.write(opener, _GO)
    os.close(opener)
    _, status = os.waitpid(child, 0)
    lock.release()
    return status


def _hand_on_signals(child: int) -> None:
    from sentinel.reaper.signals import forward

    def hand_on(number: int, _: FrameType | None) -> None:
        forward(child, number)

    for number in _FORWARDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, hand_on)
    for number in (signal.SIGINT, signal.SIGQUIT):  # the terminal sends these to the command as well
        signal.signal(number, signal.SIG_IGN)


# -- what is there -------------------------------------------------------------------------


def _standing(path: str) -> tuple[Standing, str]:
    from sentinel.core.rules.locks import standing
    from sentinel.locks.kinds import look

    how, why = standing(look(os.path.abspath(path)))
    return how, clean(why, 400)


def _locks(directories: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Paths and kinds of all that is one."""
    from sentinel import config, paths
    from sentinel.locks.kinds import recognise
    from sentinel.locks.places import places

    wished = config.load(paths.find().config_file).locks.watch
    for path in places(map(os.path.abspath, directories), wished, home=os.path.expanduser("~")).found():
        try:
            kind = recognise(path, os.lstat(path))
        except OSError:
            continue
        if kind is not None:
            yield path, kind.name


def _seconds(text: str) -> float:
    from sentinel.cli import times

    return times.after(f"{text}s" if text.isdecimal() else text, 0, like="500ms, 5s, 1m")
