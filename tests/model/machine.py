"""One machine, its people and the agent on it: plays a script, and keeps what the oracle says of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from signal import SIGCHLD, SIGKILL
from types import SimpleNamespace
from unittest.mock import patch

from sentinel import assembly
from sentinel.bus import Bus
from sentinel.core.events import HandlerFailed
from sentinel.core.ledger import Ledger
from sentinel.core.switches import Switches
from sentinel.errors import SentinelError
from sentinel.paths import Paths
from sentinel.sources.polling import Polling
from tests.model.clock import Clock, Loop
from tests.model.door import OURSELVES, Door
from tests.model.kernel import House, Kernel, MachineFullError, Process
from tests.model.memory import Memory
from tests.model.mishaps import Mishaps
from tests.model.oracle import may_stay, objection
from tests.model.people import People
from tests.model.script import MISHAPS, Outcome, Script, policy_of
from tests.model.standins import Board, Connector, Exits, Handles, Journal, NoFiles

_TOLD = 80, 8
"""How many numbers there are, and for how many ticks each rests: with 32,768 no machine is faster."""
_SAMPLED = 300, 400
"""The same where births are sampled: samples are compared by numbers, so none may come again in between."""
NOWHERE = Paths(*[Path("/nowhere")] * 3)


class Machine(Mishaps):
    """One machine, its people, and the agent on it."""

    def __init__(self, script: Script, door: Door, clock: Clock, loop: Loop) -> None:
        clock.now, clock.slept, clock.set_by = 1000.0, 0.0, 0.0
        self.clock = clock
        self.script, self.door, self.loop = script, door, loop
        self.outcome = Outcome()
        self.rng = Random(script.seed)  # noqa: S311 - a history, not a secret
        self.kernel = Kernel(clock, self.rng, self.later, *(_SAMPLED if script.sampled else _TOLD))
        self.kernel.on_death = self.root_ended
        door.enter(self.kernel, self.rng)
        door.signalled = self.signalled
        self.memory = Memory(self.kernel, door)
        door.sampled, door.saved = self.memory.look, self.memory.save
        self.connector = Connector(self.kernel, self.memory)
        self.people = People(self.kernel, self.registered, self.seen, self.keep, self.memory.around)
        self.timers: list[asyncio.TimerHandle] = []
        self.agents_loop = SimpleNamespace(call_later=self.agents_later)
        self.asleep = 0
        self.sought = 0.0
        """Until then a new agent may look for the Overmind of a tmux server: what runs in that is nobody's."""
        self.board = Board(Switches())
        self.down = self.deaf = False
        self.policy = policy_of(script.promised)
        self.start_agent()

    def later(self, delay: float, call: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        timer = self.loop.call_later(delay, call, *arguments)
        self.timers.append(timer)
        return timer

    # -- the agent -------------------------------------------------------------------

    def start_agent(self) -> None:
        """A new one: what it takes over and what it finds is all it has."""
        self.down = False
        journal = Journal()
        self.bus, self.ledger, self.handles = Bus(journal.record), Ledger(), Handles(self.door)
        self.agents_timers: list[asyncio.TimerHandle] = []
        self.births = self.source()
        exits = Exits(self.kernel, self.bus, self.handles, self.births, self.agents_later)
        self.bus.subscribe(HandlerFailed, lambda event: self.outcome.failed.append(event.error))
        with patch.multiple(
            assembly,
            Handles=lambda: self.handles,
            find_ourselves=lambda **_: OURSELVES,
            _open_exits=lambda *_: exits,
            Leftovers=NoFiles,
            SwitchBoard=lambda *_: self.board,
        ):
            self.core = assembly.build(
                NOWHERE,
                lambda: self.policy,
                bus=self.bus,
                ledger=self.ledger,
                journal=journal,
                later=self.agents_later,
                births=self.births,
            )
        self.memory.look()
        self.core.find_out()

    def source(self) -> Connector | Polling:
        """The connector, or the agent's own samples of the little kernel's table."""
        self.connector.listen(self.bus, self.ledger)
        if not self.script.sampled:
            return self.connector
        polling = Polling(self.bus, self.ledger, 0.25, self.kernel.clock.monotonic)
        polling.open()
        polling.start(self.agents_loop)
        return polling

    def agents_later(self, delay: float, call: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        timer = self.loop.call_later(delay, call, *arguments)
        self.agents_timers.append(timer)
        return timer

    def kill_agent(self) -> None:
        self.down = True
        for timer in self.agents_timers:
            timer.cancel()
        for task in asyncio.all_tasks(self.loop) - {asyncio.current_task(self.loop)}:
            task.cancel()

    def signalled(self, process: Process, number: int) -> None:
        """The agent signals somebody: is that right?"""
        if number == SIGCHLD:  # which harms nothing
            return
        self.outcome.ended += 1
        paused = "a person said that nothing may be ended now" if self.board.now().pause else ""
        if why := paused or objection(process, self.script.promised, number):
            self.outcome.wrong.append(f"{process.name} {process.id} was sent signal {number}: {why}")

    def registered(self, wrapper: Process, command: Process | None) -> bool:
        """A ``sentinel run`` leaves its mark and tells the agent, which may not be able to tell who that is."""
        self.door.leave_mark(wrapper, wrapper.founded.name, command.pid if command is not None else 0)
        if self.down:
            return True
        if self.asleep and command is None:
            self.people.waiting.append(wrapper)
            return False
        try:
            self.core.runs.register(wrapper.pid)
        except SentinelError:
            return False
        return True

    def hear(self) -> None:
        """Read what was said meanwhile."""
        while self.people.waiting:
            wrapper = self.people.waiting.pop(0)
            if wrapper.alive and wrapper.state != "T":
                with contextlib.suppress(SentinelError):
                    self.core.runs.register(wrapper.pid)
                    wrapper.founded.unheard = False
                self.people.begin(wrapper.founded)

    def keep(self, process: Process) -> bool:
        """A person says ``sentinel keep``, and the agent hears it after all that came before."""
        if self.down or self.deaf or self.asleep or self.door.fog or self.script.sampled:
            return False  # where births are not told, not all that it bears is known as such
        self.births.drain()
        member = self.ledger.member(process.pid)
        if member is None or member.id != process.id:
            return False
        if not process.alive:
            return False
        self.core.keeping.keep(str(process.pid))
        self.memory.wanted.add(process)
        return True

    def seen(self) -> bool:
        """The agent hears at once of what has just happened, unless it is deaf."""
        if self.down or self.deaf or self.door.fog or self.script.sampled or self.connector.overflowed or self.asleep:
            return False
        if self.clock.now < self.sought:
            return False
        self.births.drain()
        return True

    # -- the course of things --------------------------------------------------------

    def make(self, name: str, rng: Random) -> None:
        befalls = getattr(self, name, None) if name in dict(MISHAPS) else None
        (befalls or getattr(self.people, name))(rng)

    async def play(self) -> Outcome:
        with contextlib.suppress(MachineFullError):
            for name, number in self.script.moves:
                rng = Random(number)  # noqa: S311 - a history, not a secret
                self.make(name, rng)
                await self.turn(rng)
        self.door.fog, self.asleep = 0.0, 0
        self.births.drain()
        self.hear()
        await asyncio.sleep(8.0)
        self.account()
        return self.outcome

    async def turn(self, rng: Random) -> None:
        """The agent gets a turn, and a little time goes by, or a little more."""
        if self.asleep:
            self.asleep -= 1
            return
        if self.people.waiting and rng.random() < 0.5:
            self.births.drain()
        self.hear()
        if not self.script.sampled or rng.random() < 0.5:
            self.births.drain()
        await asyncio.sleep(rng.choice((0.0, 0.001, 0.01, 0.1, 0.4, 1.0, 3.0)))

    def root_ended(self, root: Process) -> None:
        self.memory.over(root)
        self.excuse()

    def excuse(self) -> None:
        """A root has ended. Whom something protects now is not judged again when it does no more.

        Nor is what it bears then.
        """
        living = self.kernel.living()
        for process in living:
            if process.house is not None and _is_heir(process, process.house):
                process.house.heirs.add(process)
        if self.script.rough or self.script.sampled:
            return
        for process in living:
            house = process.house
            if house is None or house.alive or process.excused:
                continue
            by_bearer = self.is_heir_of_one_excused(process)
            protected = house.heirs or objection(process, self.script.promised, SIGKILL)
            process.excused = bool(by_bearer or protected or may_stay(process, self.script.promised))

    def is_heir_of_one_excused(self, process: Process) -> bool:
        """Whether something protects, or protected, one of those that bore it in its session."""
        link = process.bearer
        while link is not None and link.house is process.house:
            if link.excused or objection(link, self.script.promised, SIGKILL):
                return True
            link = link.bearer
        return False

    def account(self) -> None:
        """Who should have been ended, and lives?"""
        if self.script.rough or self.script.sampled:
            return
        self.excuse()
        for process in self.kernel.living():
            house = process.house
            if process.pid < 100 or house is None or house.alive or process.excused:
                continue
            self.outcome.missed.append(f"{process.name} {process.id} of {house.kind}")
        self.outcome.orphans = self.outcome.ended + len(self.outcome.missed)


def _is_heir(process: Process, house: House) -> bool:
    """Whether the session goes on under it: its root ended well, and bore it as a copy of itself."""
    return house.root.status == 0 and process.bearer is house.root and process.name == house.root.name
