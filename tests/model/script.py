"""What a history is made of: which moves, under which configuration, on what sort of machine.

A script is a list of moves, each with a number that its own randomness comes from. So a move
can be left out and the others stay what they were, which is how a history that went wrong is
made short.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from sentinel.core.policy import Allowance, Daemons, KindPolicy, Mode, Policy, Survivors
from sentinel.core.sessions import Kind
from tests.model.oracle import Promises
from tests.model.people import MOVES

MISHAPS = (("lose", 2), ("restart", 2), ("lie", 3), ("look", 2), ("fog", 2), ("late", 6), ("clocks", 1), ("pause", 1))
"""What befalls the agent, and how often."""
_LONGEST = 40
_GRACE = 0.3

Move = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Script:
    """A history before it happens."""

    seed: int
    rough: bool
    """The agent may be slow, deaf, blind and restarted. Otherwise it must find every orphan."""
    sampled: bool
    promised: Promises
    moves: tuple[Move, ...]


@dataclass(slots=True)
class Outcome:
    """What became of it."""

    wrong: list[str] = field(default_factory=list)
    """Each signal that should not have been sent."""
    failed: list[str] = field(default_factory=list)
    """Handlers that raised."""
    ended: int = 0
    orphans: int = 0
    """True orphans that nothing protects, in a history in which the agent could know of them."""
    missed: list[str] = field(default_factory=list)


def script(seed: int) -> Script:
    """The history of that number."""
    rng = Random(seed)  # noqa: S311 - a history, not a secret
    rough, sampled = rng.random() < 0.6, rng.random() < 0.15
    moves = MOVES + MISHAPS if rough else MOVES
    names = rng.choices([name for name, _ in moves], [often for _, often in moves], k=rng.randrange(6, _LONGEST))
    promised = Promises()
    if rng.random() < 0.25 and not sampled:  # whose policy holds is not sure where births are sampled
        promised = Promises(
            ends_daemons=rng.random() < 0.5,
            reported=_kinds(rng, 0.2),
            reported_after_exit=_kinds(rng, 0.4),
            observes=rng.random() < 0.1,
            protected_programs=("python3",) if rng.random() < 0.3 else (),
        )
    promised = replace(promised, sampled=sampled, sees_below=not rough)
    return Script(seed, rough, sampled, promised, tuple((name, rng.getrandbits(32)) for name in names))


def _kinds(rng: Random, chance: float) -> frozenset[str]:
    """Some kinds. Who cannot tell an Overmind's tmux server from others treats it as such, so these go together."""
    some = {kind for kind in Kind if rng.random() < chance}
    if Kind.OVERMIND in some:
        some.add(Kind.TMUX)
    elif Kind.TMUX in some:
        some.remove(Kind.TMUX)
    return frozenset(some)


def policy_of(promised: Promises) -> Policy:
    """The configuration that makes these promises."""
    kinds = {
        kind: KindPolicy(
            survivors=Survivors.REPORT if kind in promised.reported else Survivors.END,
            after_exit=Survivors.REPORT if kind in promised.reported_after_exit else Survivors.END,
            daemons=Daemons.END if promised.ends_daemons else Daemons.SPARE,
            grace=_GRACE,
        )
        for kind in Kind
    }
    return Policy(
        Mode.OBSERVE if promised.observes else Mode.ACT,
        kinds,
        protected_programs=tuple(promised.protected_programs),
        # The budget has tests of its own; here it would hide what comes after it.
        budget=Allowance(causes=10_000, share=1.0, seconds=0.0),
    )
