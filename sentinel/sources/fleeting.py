"""Lives that began and ended within one reading of the kernel's word: nothing is left to own.

In a storm of forks nearly every birth is followed by its end before anybody looks. To take hold
of such a process, write it down and write it off again costs three times what hearing of it does.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto


class Turn(Enum):
    """What a life's story is made of."""

    BIRTH = auto()
    END = auto()
    """Its own, or that of its first thread: the kernel says both in the same words."""
    OTHER = auto()
    """A new program, a new name."""


Story = Sequence[tuple[Turn, int, int]]
"""What was told, in order: what, whose number, and at a birth the parent's."""


@dataclass(slots=True)
class _Life:
    pid: int
    told: list[int]
    """Where in the reading it is spoken of."""
    known: bool = False
    """Its number was somebody's: that this one has ended is told by its birth alone."""
    over: bool = False
    borne: list[_Life] = field(default_factory=list)


def going_on(story: Story) -> dict[int, int]:
    """Find the ends that were of a first thread: of whose number more is told, and no other birth before that.

    The process may be gone by the time at which its end is answered. It would be written off then,
    and what it bore afterwards be nobody's. That of its last thread is told by nobody.

    Returns:
        Their places in the story, each with that of the last word on what the process did.
    """
    found: dict[int, int] = {}
    last: dict[int, int] = {}
    for place in range(len(story) - 1, -1, -1):
        turn, pid, parent = story[place]
        if turn is Turn.BIRTH:
            last.pop(pid, None)
            last.setdefault(parent, place)
        elif turn is Turn.END and pid in last:
            found[place] = last[pid]
        else:
            last.setdefault(pid, place)
    return found


def fleeting(story: Story, watched: Container[int], is_gone: Callable[[int], bool]) -> set[int]:
    """Find the lives that leave nothing behind: they are over, and so is all that they bore.

    Who bears a child that goes on is not among them: the child is owned through it. A process
    whose first thread has ended may go on, bear others and become another program (execve(2) in
    one of many threads ends the first), so nobody is taken for over who may still be there.

    Args:
        story: What was told in one reading.
        watched: Numbers of which something is known.
        is_gone: Whether nobody has a number whose end was told.

    Returns:
        The places in the story that are about nothing but such lives.
    """
    lives: dict[int, _Life] = {}
    births: list[_Life] = []
    for place, (turn, pid, parent) in enumerate(story):
        life = lives.get(pid)
        if turn is Turn.BIRTH:
            unheard = life is not None and not life.over
            life = lives[pid] = _Life(pid, [place], known=unheard or pid in watched)
            births.append(life)
            if (bearer := lives.get(parent)) is not None:
                bearer.borne.append(life)
        elif life is not None:
            life.told.append(place)
            life.over = life.over or turn is Turn.END
    passed: set[int] = set()
    for life in reversed(births):  # whoever was borne by it comes before it
        life.over = life.over and not life.known and all(child.over for child in life.borne) and is_gone(life.pid)
        if life.over:
            passed.update(life.told)
    return passed
