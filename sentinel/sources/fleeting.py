"""Lives that began and ended within one reading of the kernel's word: nothing is left to own.

In a storm of forks nearly every birth is followed by its end before anybody looks. To take hold
of such a process, write it down and write it off again costs three times what hearing of it does.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto


class Turn(Enum):
    """What a life's story is made of."""

    BIRTH = auto()
    END = auto()
    OTHER = auto()
    """A new program, a new name."""


@dataclass(slots=True)
class _Life:
    parent: int
    told: list[int]
    """Where in the reading it is spoken of."""
    borne: set[int] = field(default_factory=set)
    """Its children that have not ended within the reading, as far as they bore nobody who has not."""


def fleeting(story: Iterable[tuple[Turn, int, int]], watched: Container[int]) -> Iterator[tuple[int, list[int]]]:
    """Find the lives that leave nothing behind, in the order of their ends.

    Who bears a child that goes on is not among them: the child is owned through it. Nor is whoever
    gets a number that is ``watched``: that its last owner has ended is told by this birth alone.

    Args:
        story: What was told, in order: what, whose number, and at a birth the parent's.
        watched: Numbers of which something is known.

    Yields:
        Number and the places in the story that are about nothing but this life. That its first
        thread has ended is told in the same words, so the caller makes sure that it is gone.
    """
    lives: dict[int, _Life] = {}
    for place, (turn, pid, parent) in enumerate(story):
        if turn is Turn.BIRTH:
            if (bearer := lives.get(parent)) is not None:
                bearer.borne.add(pid)
            lives.pop(pid, None)
            if pid not in watched:
                lives[pid] = _Life(parent, [place])
        elif (life := lives.get(pid)) is not None:
            life.told.append(place)
            if turn is Turn.END:
                del lives[pid]
                if not life.borne:
                    if (bearer := lives.get(life.parent)) is not None:
                        bearer.borne.discard(pid)
                    yield pid, life.told
