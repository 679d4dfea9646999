"""What single commands do themselves when no agent is there: the same core, the same hand."""

from __future__ import annotations

import asyncio
import time

import click

from sentinel import config, runs
from sentinel.app import Core
from sentinel.core.events import CleanedUp, SessionDied
from sentinel.core.facts import Death, Departure, ProcessId
from sentinel.core.ledger import Witness
from sentinel.core.sanitise import clean
from sentinel.core.sessions import Kind, Session
from sentinel.handlers.tell import summary
from sentinel.observe import processes
from sentinel.paths import Paths


def clean_up(where: Paths, mark: runs.Mark, root: ProcessId, status: int) -> None:
    """End what the command of a ``sentinel run`` left under this process, its subreaper.

    What had lost its parent before the command ended cannot be told from what lost it then:
    so whatever made a session of its own and holds no terminal or pipe counts as
    daemonised on purpose.
    """
    wishes = config.load(where.config_file)
    core = Core.build(where, lambda: wishes.policy)
    now = time.monotonic()
    session = Session(Kind.RUN, mark.name, root, directory=mark.directory, born=time.time(), command=root.pid)
    core.ledger.open(session, now)
    for link in processes.descendants(mark.pid):
        parent = link.parent if link.parent in core.ledger else root.pid
        if (member := core.ledger.enter(link.id, parent, now, Witness.CHILD)) is not None:
            core.handles.take(link.id.pid)
            if link.parent == mark.pid:
                member.parent, member.left = mark.pid, Departure(now, None)
    death = Death(now, status)
    core.ledger.exited(root.pid, death)

    async def see_through() -> None:
        cleaning = core.clean_up(lambda: wishes.policy, lambda: None)
        core.bus.subscribe(CleanedUp, lambda done: _say(done, death))
        core.bus.publish(SessionDied(session, death))
        await cleaning.settle()

    asyncio.run(see_through())


def _say(done: CleanedUp, death: Death) -> None:
    text = summary(done.session, death, list(done.outcomes), 0).partition("\n")[0]
    click.echo(f"sentinel: {clean(text)}", err=True)
