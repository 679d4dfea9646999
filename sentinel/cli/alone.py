"""What single commands do themselves when no agent is there: the same core, the same hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from sentinel import config, runs
from sentinel.assembly import Core, build
from sentinel.bus import Bus
from sentinel.cli import screen
from sentinel.core.events import FOUND, CleanedUp, SessionDied
from sentinel.core.facts import Death, Departure, ProcessId
from sentinel.core.ledger import Ledger, Witness
from sentinel.core.sanitise import clean
from sentinel.core.sentences import how_it_died
from sentinel.core.sessions import Kind, Session
from sentinel.core.tally import sentence, tally
from sentinel.errors import SentinelError
from sentinel.journal import Journal
from sentinel.observe import processes
from sentinel.observe.surroundings import cgroup_of, input_of
from sentinel.paths import Paths

if TYPE_CHECKING:
    from sentinel.handlers.tmux_sessions import Inside


def clean_up(where: Paths, mark: runs.Mark, root: ProcessId, status: int) -> None:
    """End what the command of a ``sentinel run`` left under this process, its subreaper.

    What had lost its parent before the command ended cannot be told from what lost it then:
    so whatever made a session of its own and holds no terminal or pipe counts as
    daemonised on purpose.
    """
    wishes = config.load(where.config_file)
    journal = Journal(where.journal, processes.boot_id())
    bus, ledger = Bus(journal.record), Ledger()
    core = build(where, lambda: wishes.policy, bus=bus, ledger=ledger, journal=journal, later=_never, shares_group=True)
    now = time.monotonic()
    session = Session(
        Kind.RUN,
        mark.name,
        root,
        directory=mark.directory,
        born=time.time(),
        sid=os.getsid(0),
        cgroup=cgroup_of(mark.pid),
        input=input_of(mark.pid),
        command=root.pid,
    )
    ledger.open(session, now)
    for link in processes.descendants(mark.pid):
        core.handles.take(link.id.pid)
        if link.parent != mark.pid:
            core.bookkeeper.enter(link.id, link.parent, now, Witness.CHILD)
        elif (member := ledger.enter(link.id, root.pid, now, Witness.CHILD)) is not None:
            member.parent, member.left = mark.pid, Departure(now, None)
        core.discovery.consider(link.id.pid, FOUND)  # another session lives in this one perhaps
        with contextlib.suppress(SentinelError):
            core.runs.register(link.id.pid)  # or another run, by its mark
    for record in list(ledger.sessions()):
        if record.session.key != session.key and not record.session.outer:
            ledger.amend(replace(record.session, outer=session.key))  # for it was found under us
    death = Death(now, status)
    ledger.exited(root.pid, death)
    bus.subscribe(CleanedUp, lambda done: _say(done, death))

    async def see_through() -> None:
        bus.publish(SessionDied(session, death))
        await core.clean_up.settle()

    asyncio.run(see_through())


def _say(done: CleanedUp, death: Death) -> None:
    here = replace(done.session, directory="")  # who reads it is there
    text = sentence(tally(here, how_it_died(death), done.outcomes))
    screen.say(f"sentinel: {clean(text, 1000)}", err=True)


def explain(where: Paths, what: str) -> dict[str, object]:
    """What a look from here shows of a thing: who hangs under which living session.

    Raises:
        NoSuchThing: Nothing of that name is there.
    """
    core = look_around(where, Ledger())
    return {**core.explanations.explain(what, lambda name: _inside_tmux(core.ledger, name)), "alone": True}


def _inside_tmux(ledger: Ledger, name: str) -> list[Inside]:
    """Ask each tmux server what sessions it has. One that does not answer has none that can be told."""
    from sentinel.handlers.tmux_sessions import TmuxSessions

    inside = TmuxSessions(Bus(lambda _, cause: cause), ledger)
    for record in list(ledger.sessions()):
        if record.session.kind is Kind.TMUX and record.session.belongings.sockets:
            asyncio.run(inside(record.session, record.session.belongings.sockets[0]))
    return inside.called(name)


def look_around(where: Paths, ledger: Ledger, wishes: config.Config | None = None) -> Core:
    """Enter what one look from here shows into the ledger; nothing is written into the journal.

    The wishes are those of the file, unless others are given.

    Raises:
        ConfigError: The file is wanted and cannot be used.
    """
    policy = (wishes or config.load(where.config_file)).policy
    journal = Journal(where.journal, processes.boot_id())
    core = build(
        where,
        lambda: policy,
        bus=Bus(lambda _, cause: cause),
        ledger=ledger,
        journal=journal,
        later=_never,
    )
    core.sweep.look()
    return core


def _never(*_: object) -> None:
    """A single command does not stay to look again."""
