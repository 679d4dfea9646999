"""``sentinel agent``: watch in the foreground."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from sentinel import config, instance, paths
from sentinel.errors import SentinelError

if TYPE_CHECKING:
    from sentinel.handlers.enquiries import Condition


@click.command("agent")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on standard output.")
@click.option("-v", "--verbose", is_flag=True, help="Log more on standard error.")
def command(*, quiet: bool, verbose: bool) -> None:
    """Watch your sessions in the foreground, and clean up after those that die.

    A second agent says who is already running and ends with status 0.
    """
    if os.getuid() == 0 and not os.environ.get("SENTINEL_ALLOW_ROOT"):
        raise SentinelError(
            "the agent is for a user, not for root: as root it would watch what is not yours "
            "(in a container where you are root, set SENTINEL_ALLOW_ROOT=1)"
        )
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="sentinel: %(levelname)s: %(message)s",
    )
    where = paths.find()
    wishes = config.load(where.config_file)
    trouble = paths.prepare(where)
    with instance.claim(where):
        from sentinel.app import Agent

        def started(condition: Condition) -> None:
            if not quiet:
                _greet(condition, trouble)

        async def serve() -> None:
            await Agent(wishes, where).run(started)

        asyncio.run(serve())


def _greet(condition: Condition, trouble: str) -> None:
    better = f" ({condition.why_not_better})" if condition.why_not_better else ""
    click.echo(f"sentinel {condition.version} watches by {condition.source}{better}. Ctrl-C ends it.")
    if trouble:
        click.echo(f"sentinel: {trouble}", err=True)
