"""Plays histories: what happens on the little machine, what the agent makes of it, and who was right."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from tests.model.clock import Clock, Loop
from tests.model.door import Door, opened
from tests.model.machine import Machine
from tests.model.script import Outcome, Script


class Player:
    """Plays histories, one after the other, in one door and one loop."""

    def __init__(self, door: Door, clock: Clock, loop: Loop) -> None:
        self._door, self._clock, self._loop = door, clock, loop

    def play(self, script: Script) -> Outcome:
        return self._loop.run_until_complete(self._play(script))

    async def _play(self, script: Script) -> Outcome:
        machine = Machine(script, self._door, self._clock, self._loop)
        try:
            return await machine.play()
        finally:
            machine.kill_agent()
            for timer in machine.timers:
                timer.cancel()

    def shorten(self, script: Script, still: Callable[[Outcome], bool]) -> Script:
        """Leave out every move without which the history still goes wrong."""
        size = len(script.moves)
        while size >= 1:
            start = 0
            while start < len(script.moves):
                moves = script.moves[:start] + script.moves[start + size :]
                shorter = Script(script.seed, script.rough, script.sampled, script.promised, moves)
                if still(self.play(shorter)):
                    script = shorter
                else:
                    start += size
            size //= 2
        return script


@contextlib.contextmanager
def player() -> Iterator[Player]:
    """A player, with every look of the agent turned to the little kernel."""
    clock = Clock()
    loop = Loop(clock)
    try:
        with opened(clock) as door:
            yield Player(door, clock, loop)
    finally:
        loop.close()
