"""``sentinel agent``: watch in the foreground."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from sentinel import config, crashes, instance, paths
from sentinel.cli import give_up_output, refuse_root, screen
from sentinel.core.policy import Mode
from sentinel.errors import AlreadyRunning
from sentinel.lean import without
from sentinel.service.supervisor import Supervisor

if TYPE_CHECKING:
    from sentinel.handlers.enquiries import Condition


@click.command("agent")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on standard output.")
@click.option("-v", "--verbose", is_flag=True, help="Log more on standard error.")
def command(*, quiet: bool, verbose: bool) -> None:
    """Watch your sessions in the foreground, and clean up after those that die.

    A second agent says who is already running and ends with status 0.
    """
    refuse_root(
        "the agent is for a user, not for root: as root it would watch what is not yours "
        "(in a container where you are root, set SENTINEL_ALLOW_ROOT=1)"
    )
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="sentinel: %(levelname)s: %(message)s",
    )
    _leave_the_group_of_our_starter()
    where = paths.find()
    crashed = instance.look(where).condition is instance.Condition.CRASHED
    safe = crashes.why_safe(where.crashes) if crashed else ""
    wishes = crashes.harmless() if safe else config.load(where.config_file)
    trouble = paths.prepare(where)
    with _claimed(where) as claim:
        if crashed:
            crashes.note(where.crashes, where.last_words)
        with without("ssl"):
            import asyncio
        from sentinel.app import Agent
        from sentinel.cli.live import Live, greeting

        echo = None if quiet or not sys.stdout.isatty() else Live()

        def started(condition: Condition) -> None:
            if not quiet:
                _greet(greeting(condition, observes=wishes.policy.mode is Mode.OBSERVE, told=echo is not None))
            if trouble:
                click.echo(f"sentinel: {trouble}", err=True)

        async def serve() -> None:
            await Agent(wishes, where, claim, echo, safe).run(started)

        with crashes.last_words(where.last_words):
            asyncio.run(serve())


@contextlib.contextmanager
def _claimed(where: paths.Paths) -> Iterator[instance.Claim]:
    """Be the one agent. That another one is there already is no failure to whom supervises us."""
    with contextlib.ExitStack() as held:
        try:
            claim = held.enter_context(instance.claim(where))
        except AlreadyRunning as error:
            Supervisor().ready(str(error))
            raise
        yield claim


def _greet(text: str) -> None:
    """Say it, if it can be said: a pipe that was closed and a full disk are no reasons not to watch."""
    try:
        screen.say(text)
    except OSError:
        give_up_output()


def _leave_the_group_of_our_starter() -> None:
    """Have a process group of our own, unless it is the terminal's foreground group.

    Sentinel spares its own group. A script that starts it in the background shares one with
    it, and all that the script starts besides. In the foreground the group is what Ctrl-C
    goes to, and it stays.
    """
    with contextlib.suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if os.tcgetpgrp(terminal) == os.getpgrp():
                return
        finally:
            os.close(terminal)
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
