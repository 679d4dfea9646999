"""A living process of a scene (``tests/core/scenes.py``), and what a look at it shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.core.facts import ProcessFacts, Stdio, Surroundings, Unknown

STDIO = {
    "nothing": Stdio(terminal=False, pipe=False),
    "terminal": Stdio(terminal=True, pipe=False),
    "pipe": Stdio(terminal=False, pipe=True),
}
UNSEEN = Unknown("what it is", "permission denied")
CLOSED = Unknown("whom it works for", "permission denied")


@dataclass
class Seen:
    """A living process, and what a look at it shows beyond its facts."""

    facts: ProcessFacts
    stdio: Stdio = STDIO["nothing"]
    born: float = 0.0
    around: Surroundings = field(default_factory=Surroundings)
    closed: bool = False
    subreaper: bool = False
    unseen: bool = False
    children: list[int] = field(default_factory=list)


def stopped_jobs(shell: Seen, fellows: list[Seen]) -> tuple[int, ...]:
    """Stopped children in another process group of its session, which its end leaves orphaned."""
    its = shell.facts
    return tuple(
        each.facts.id.pid
        for each in fellows
        if each.facts.state == "T"
        and (each.facts.parent, each.facts.session) == (its.id.pid, its.session)
        and each.facts.group != its.group
    )
