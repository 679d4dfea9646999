"""What stands in for rooms beside the observe door: handles, connector, exits, switches, journal and files."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.core.events import EventsLost, ProcessExecuted, ProcessExited, ProcessForked, ProcessRenamed
from sentinel.core.facts import Death, Gone, ProcessId, Unknown
from sentinel.core.moments import Moment
from sentinel.core.switches import Switches
from sentinel.switches import SwitchBoard
from tests.model.door import Door
from tests.model.kernel import Kernel, Process
from tests.model.memory import Memory


class Handles:
    """Handles as pidfds are: the process itself, whatever becomes of its number."""

    exhausted = False
    on_exhausted = None

    def __init__(self, door: Door) -> None:
        self._door = door
        self.held: dict[ProcessId, Process] = {}

    def __len__(self) -> int:
        return len(self.held)

    def __iter__(self) -> Iterator[ProcessId]:
        return iter(self.held)

    def take(self, pid: int) -> ProcessId | Gone | Unknown:
        who = self._door.identify(pid)
        if isinstance(who, ProcessId):
            process = self._door.kernel.table[pid]
            if not process.alive:
                return Gone()
            self.held[who] = process
        return who

    def fd(self, who: ProcessId) -> Process | None:
        return self.held.get(who)

    def borrow(self, who: ProcessId) -> Process | Gone | Unknown:
        held = self.held.get(who)
        if held is None:
            found = self._door.identify(who.pid)
            if isinstance(found, Unknown):
                return found
            held = self._door.kernel.table[who.pid] if found == who else None
        return held if held is not None and held.alive else Gone()

    def ended(self, who: ProcessId) -> bool | Unknown:
        if (held := self.held.get(who)) is not None:
            return not held.alive
        now = self._door.above(who.pid)
        if isinstance(now, Unknown):
            return now
        return isinstance(now, Gone) or now.id != who or now.dead

    def status(self, who: ProcessId) -> int | None:
        held = self.held.get(who)
        return held.status if held is not None and held.reaped else None

    def drop(self, who: ProcessId) -> None:
        self.held.pop(who, None)

    def close(self) -> None:
        self.held.clear()


class Connector:
    """The proc connector: notices in their order, about whom it was asked to watch, or lost."""

    name = "proc connector"
    sampled = False

    def __init__(self, kernel: Kernel, memory: Memory) -> None:
        self._notices = kernel.notices
        self._memory = memory
        self.bus = self.watched = None
        self.overflowed = False

    def listen(self, bus, watched) -> None:
        self.bus, self.watched = bus, watched
        self.overflowed = False
        self._notices.clear()

    def drain(self) -> None:
        self._memory.look(told=not self.overflowed)
        if self.overflowed:
            self.overflowed = False
            self._notices.clear()
            self.bus.publish(EventsLost(self.name, "the model says so"))
        while self._notices:
            notice = self._notices.popleft()
            match notice:
                case ProcessForked(parent=about) | ProcessExited(pid=about):
                    wanted = about in self.watched
                case ProcessRenamed() | ProcessExecuted():
                    wanted = True
            if wanted:
                self.bus.publish(notice)


class Exits:
    """The wait on single pidfds: the word comes a little after the end, whatever else was lost."""

    def __init__(self, kernel: Kernel, bus, handles: Handles, births, later) -> None:
        self._bus, self._handles, self._births, self._later = bus, handles, births, later
        self._clock = kernel.clock
        self._watched: set[ProcessId] = set()
        kernel.on_end = self._ended

    def start(self, _: object) -> None:
        """Nothing to start: the kernel calls."""

    def watch(self, who: ProcessId) -> bool:
        held = self._handles.fd(who)
        if held is None:
            return False
        self._watched.add(who)
        if not held.alive:
            self._ended(held)
        return True

    def forget(self, who: ProcessId) -> None:
        self._watched.discard(who)

    def _ended(self, process: Process) -> None:
        if process.id in self._watched:
            self._later(0.0005, self._wake, process)

    def _wake(self, process: Process) -> None:
        if process.id not in self._watched:
            return
        self._later(0.002, self._publish, process)
        self._births.drain()

    def _publish(self, process: Process) -> None:
        if process.id in self._watched:
            self._watched.discard(process.id)
            death = Death(self._clock.now, self._handles.status(process.id))
            self._bus.publish(ProcessExited(process.pid, death))


class Board(SwitchBoard):
    """The switches, kept in memory: what the file does is not this model's subject."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self.trouble = ""

    def now(self) -> Switches:
        return self._switches

    def moment(self) -> Moment:
        return Moment(0.0)  # no pause here has an end

    def change(self, change) -> Switches:
        self._switches = change(self._switches)
        return self._switches


class NoFiles:
    """Stands in for what tidies files up: there are none here."""

    def __init__(self, *_: object) -> None:
        pass

    def remove(self, *_: object) -> list[object]:
        return []

    def verdicts(self, *_: object) -> list[object]:
        return []


class Journal:
    """Stands in for the journal: a number for each line, and nothing on a disk."""

    trouble = ""

    def __init__(self) -> None:
        self.lines = 0

    def record(self, *_: object) -> int:
        self.lines += 1
        return self.lines

    intend = record

    def sync(self) -> None:
        pass
