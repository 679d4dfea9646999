"""A case that is condemned, to be changed by one thing at a time."""

from __future__ import annotations

from dataclasses import replace

from sentinel.core.facts import Above, Death, Departure, ProcessFacts, ProcessId, Stdio, Surroundings
from sentinel.core.guards import Case, Ourselves, World
from sentinel.core.ledger import Member, Witness
from sentinel.core.policy import KindPolicy
from sentinel.core.sessions import Kind, Session

US = Ourselves(pid=50, group=50, uid=1000, ancestors=frozenset({40, 41}))
ROOT = ProcessId(100, 1000)
TARGET = ProcessId(200, 2000)
DIED = 500.0
NOTHING = Stdio(terminal=False, pipe=False)
LEFT_ON_PURPOSE = Departure(at=DIED - 60, clean=True, forked_only=True)


def session(kind=Kind.RUN, **changes):
    return replace(Session(kind, "api", ROOT, sid=90), **changes)


def member(**changes):
    made = Member(TARGET, session().key, parent=150, witness=Witness.FORK, since=400.0, executed=True)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def facts(**changes):
    seen = ProcessFacts(TARGET, parent=1, group=200, session=90, terminal=0, state="S", name="node", uid=1000)
    return replace(seen, **changes)


def world(**changes):
    return replace(World(US, roots={}, manager_servers={}), **changes)


def case(**changes):
    """A process that a dead session bore, with nothing speaking for it."""
    made = Case(
        id=TARGET,
        member=member(),
        session=session(),
        death=Death(DIED, 9),
        facts=facts(),
        stdio=NOTHING,
        chain=(),
        policy=KindPolicy(),
        world=world(),
        surroundings=Surroundings(program="/usr/bin/node"),
    )
    return replace(made, **changes)


def above(pid, name="bash", start=1):
    return Above(ProcessId(pid, start), 1, name)
