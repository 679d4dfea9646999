"""What befalls the agent: notices that are lost, looks that fail, clocks that jump, its own end and a new start."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from sentinel.core.events import LookDue, ProcessExecuted, ProcessExited, ProcessRenamed, TmuxHinted, Woke
from sentinel.core.facts import Death
from sentinel.core.switches import Halt
from tests.model.people import MOVES

if TYPE_CHECKING:
    from tests.model.machine import Machine


class Mishaps:
    """The moves that are made on the agent."""

    def lose(self: Machine, rng: Random) -> None:
        """Notices are lost, up to some moment that is not now."""
        self.connector.overflowed = self.deaf = True
        self.kernel.notices.clear()

    def restart(self: Machine, rng: Random) -> None:
        """The agent stops or is killed, and another one takes over, or knows nothing."""
        if rng.random() < 0.5:  # it is told to stop, and leaves in good order
            self.births.drain()
            self.core.snapshots.save()
        elif rng.random() < 0.2:
            self.door.snapshot = b""
        self.kill_agent()
        self.people.waiting.clear()
        # Of a root that cannot be read at the start nothing is taken over.
        self.memory.fail(saved=bool(self.door.snapshot) and not self.door.fog)
        while rng.random() < 0.5:  # and meanwhile
            self.make(rng.choice(MOVES)[0], rng)
        self.start_agent()
        self.sought = self.clock.now + 4.0

    def lie(self: Machine, rng: Random) -> None:
        """A notice that is not true: a hook, the end of a first thread, a name."""
        pid = rng.choice(self.kernel.numbers)
        self.births.drain()
        self.bus.publish(
            rng.choice(
                (
                    ProcessExited(pid, Death(self.kernel.clock.now, rng.choice((0, 9, None)))),
                    ProcessExecuted(pid),
                    ProcessRenamed(pid),
                    TmuxHinted("pane-died", 1),
                )
            )
        )

    def look(self: Machine, rng: Random) -> None:
        self.births.drain()
        self.bus.publish(LookDue("the model says so"))

    def fog(self: Machine, rng: Random) -> None:
        """Witnesses fail from now on, or answer again."""
        self.door.fog = 0.0 if self.door.fog else rng.choice((0.05, 0.3, 1.0))

    def clocks(self: Machine, rng: Random) -> None:
        """The machine is suspended for a while, or somebody sets its wall clock."""
        if rng.random() < 0.5:
            self.clock.set_by += rng.choice((-86400.0, -1.0, 3600.0))
            return
        slept = rng.choice((0.5, 60.0, 86400.0))
        self.clock.slept += slept
        self.births.drain()
        self.bus.publish(Woke(slept))

    def pause(self: Machine, rng: Random) -> None:
        """A person says ``sentinel pause``, or ``resume``."""
        halt = Halt(self.clock.time(), "a person wants it")
        self.board.change(lambda now: now.going_on() if now.pause else replace(now, pause=halt))

    def late(self: Machine, rng: Random) -> None:
        """The agent gets no turn for a while."""
        self.asleep = rng.randrange(1, 6)
