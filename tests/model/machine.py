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
from sentinel.core.events import HandlerFailed, LookDue, ProcessExecuted, ProcessExited, ProcessRenamed, TmuxHinted
from sentinel.core.facts import Death
from sentinel.core.ledger import Ledger
from sentinel.core.switches import Switches
from sentinel.errors import SentinelError
from sentinel.paths import Paths
from sentinel.sources.polling import Polling
from tests.model.clock import Clock, Loop
from tests.model.door import OURSELVES, Door
from tests.model.kernel import House, Kernel, MachineFullError, Process
from tests.model.oracle import may_stay, objection
from tests.model.people import MOVES, People
from tests.model.script import MISHAPS, Outcome, Script, policy_of
from tests.model.standins import Board, Connector, Exits, Handles, Journal, NoFiles

_TOLD = 80, 8
"""How many numbers there are, and for how many ticks each rests: with 32,768 no machine is faster."""
_SAMPLED = 300, 400
"""The same where births are sampled: samples are compared by numbers, so none may come again in between."""
NOWHERE = Paths(*[Path("/nowhere")] * 3)


class Machine:
    """One machine, its people, and the agent on it."""

    def __init__(self, script: Script, door: Door, clock: Clock, loop: Loop) -> None:
        clock.now = 1000.0
        self.script, self.door, self.loop = script, door, loop
        self.outcome = Outcome()
        self.rng = Random(script.seed)  # noqa: S311 - a history, not a secret
        self.kernel = Kernel(clock, self.rng, self.later, *(_SAMPLED if script.sampled else _TOLD))
        self.kernel.on_death = self.excuse
        door.enter(self.kernel, self.rng)
        door.signalled = self.signalled
        self.connector = Connector(self.kernel)
        self.people = People(self.kernel, self.registered, self.seen, self.keep)
        self.timers: list[asyncio.TimerHandle] = []
        self.agents_loop = SimpleNamespace(call_later=self.agents_later)
        self.asleep = 0
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
        if why := objection(process, self.script.promised, number):
            self.outcome.wrong.append(f"{process.name} {process.id} was sent signal {number}: {why}")

    def registered(self, wrapper: Process, command: Process | None) -> bool:
        """A ``sentinel run`` leaves its mark and tells the agent, which may not be able to tell who that is."""
        self.door.leave_mark(wrapper, wrapper.founded.name, command.pid if command is not None else 0)
        if self.down:
            return True
        try:
            self.core.runs.register(wrapper.pid)
        except SentinelError:
            return False
        return True

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
        return True

    def seen(self) -> bool:
        """The agent hears at once of what has just happened, unless it is deaf."""
        if self.down or self.deaf or self.door.fog or self.script.sampled or self.connector.overflowed or self.asleep:
            return False
        self.births.drain()
        return True

    # -- what befalls it -------------------------------------------------------------

    def lose(self, rng: Random) -> None:
        """Notices are lost, up to some moment that is not now."""
        self.connector.overflowed = self.deaf = True
        self.kernel.notices.clear()

    def restart(self, rng: Random) -> None:
        """The agent stops or is killed, and another one takes over, or knows nothing."""
        known = set(self.kernel.living())
        if rng.random() < 0.5:  # it is told to stop, and leaves in good order
            self.births.drain()
            self.core.snapshots.save()
        else:
            self.forget()
            known = set()
            if rng.random() < 0.2:
                self.door.snapshot = b""
        self.kill_agent()
        while rng.random() < 0.5:  # and meanwhile
            self.make(rng.choice(MOVES)[0], rng)
        self.start_agent()
        self.lose_wishes(known)

    def forget(self) -> None:
        """The agent is killed: what it saw in its last seconds and nobody can see any more is lost. A known limit.

        That is who ran ``nohup``, if node put its signals back, and in which session one was born that left it.
        """
        for process in self.kernel.living():
            if process.wish == "nohup" and process.hangup != "ignored":
                process.wish = ""
        for house in self.people.houses:
            if house.outer is not None and house.outer.root not in house.root.above():
                house.outer = None

    def lose_wishes(self, known: set[Process]) -> None:
        """Who was born of a kept one unseen, and lost it unseen, is not known as kept. A known limit.

        ``known`` are those of whom the agent before could tell the next.
        """
        listed = {keep.id for keep in self.board.now().kept}
        sure = {one for one in self.kernel.living() if one.id in listed or (one in known and not self.door.fog)}
        for one in self.kernel.living():
            one.kept = one.kept and (one in sure or any(above in sure and above.kept for above in one.above()))

    def lie(self, rng: Random) -> None:
        """A notice that is not true: a hook, the end of a first thread, a name."""
        pid = rng.choice(self.kernel.numbers)
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

    def look(self, rng: Random) -> None:
        self.births.drain()
        self.bus.publish(LookDue("the model says so"))

    def fog(self, rng: Random) -> None:
        """Witnesses fail from now on, or answer again."""
        self.door.fog = 0.0 if self.door.fog else rng.choice((0.05, 0.3, 1.0))

    def late(self, rng: Random) -> None:
        """The agent gets no turn for a while."""
        self.asleep = rng.randrange(1, 6)

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
        await asyncio.sleep(8.0)
        self.account()
        return self.outcome

    async def turn(self, rng: Random) -> None:
        """The agent gets a turn, and a little time goes by, or a little more."""
        if self.asleep:
            self.asleep -= 1
            return
        if not self.script.sampled or rng.random() < 0.5:
            self.births.drain()
        await asyncio.sleep(rng.choice((0.0, 0.001, 0.01, 0.1, 0.4, 1.0, 3.0)))

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
            by_bearer = process.bearer is not None and process.bearer.excused
            protected = house.heirs or objection(process, self.script.promised, SIGKILL)
            process.excused = bool(by_bearer or protected or may_stay(process, self.script.promised))

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
