"""tmux servers whose Overmind has ended, with all that runs in them.

Overmind starts a server of its own, by a name with 21 random characters that nobody else
gives, and keeps a tmux client in control mode as its child that speaks to it for as long as
it lives. So a server of such a name without such a client has lost its Overmind. That is
two witnesses; a person may be attached to it all the same, or another Overmind be called so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sentinel.core.candidates import Candidate
from sentinel.core.facts import ProcessFacts, ProcessId, Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.core.rules.directories import INSTANCE, slug
from sentinel.core.sessions import Belongings, Kind, Session
from sentinel.core.verdicts import Grade
from sentinel.doctor.sightings import Look
from sentinel.observe import processes, tmux


@dataclass(frozen=True, slots=True)
class Ruin:
    """A tmux server that lost its Overmind."""

    candidates: tuple[Candidate, ...]
    """The server, and all that it bore."""
    session: Session
    """With the server's socket, which it leaves whatever way it ends."""


def overminds_ruins(look: Look, ledger: Ledger, policy: Policy) -> dict[ProcessId, Ruin]:
    """Servers that lost their Overmind."""
    found: dict[ProcessId, Ruin] = {}
    for pid, facts in look.everyone.items():
        if facts.name != TMUX_SERVER or pid in ledger:
            continue
        about = tmux.server_of(pid)
        if isinstance(about, Unknown) or (instance := INSTANCE.fullmatch(about.label)) is None:
            continue
        speakers = list(_speakers(look, about.label))
        if _CONTROLS in speakers:
            continue
        doubts = tuple(_doubts(instance["title"], speakers, ledger, policy))
        evidence = (
            f"its name is one that only Overmind gives: {about.label}",
            "the tmux client through which its Overmind spoke to it has ended",
        )
        grade = Grade.WEAK if doubts else Grade.STRONG
        inside = (_inside(below, facts, grade, doubts) for below in look.below(pid)[1:])
        belongings = Belongings((about.socket,) if about.socket else ())
        session = Session(Kind.OVERMIND, instance["title"], facts.id, belongings=belongings)
        found[facts.id] = Ruin((Candidate(facts, grade, evidence, doubts), *inside), session)
    return found


def _inside(below: ProcessFacts, server: ProcessFacts, grade: Grade, doubts: tuple[str, ...]) -> Candidate:
    runs = f"it runs in the tmux server (pid {server.id.pid}) of an Overmind that has ended"
    return Candidate(below, grade, (runs,), doubts)


_CONTROLS = "in control mode"


def _speakers(look: Look, label: str) -> Iterator[str]:
    """Clients of the server: how each speaks to it, or that nobody can tell."""
    for pid, facts in look.everyone.items():
        if not facts.name.startswith("tmux") or facts.name == TMUX_SERVER:
            continue
        program = processes.program(pid)
        if isinstance(program, Unknown):
            yield str(program)
        elif label in program[1]:
            yield _CONTROLS if "-C" in program[1] else f"a tmux client speaks to it (pid {pid})"


def _doubts(title: str, speakers: list[str], ledger: Ledger, policy: Policy) -> Iterator[str]:
    yield from speakers
    for record in ledger.sessions():
        session = record.session
        if session.kind is Kind.OVERMIND and record.death is None and slug(session.belongings.title) == title:
            yield f"{session.title} (pid {session.root.pid}) lives, and has the same name"
    if any(fnmatchcase(title, pattern) for pattern in policy.protected):
        yield f"{title} is a protected session (protect.sessions)"
