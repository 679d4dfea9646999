"""A little kernel: processes, terminals and signals, and the notices that it gives of them.

It does what Linux does at fork, exec, setsid, exit and reaping as far as the agent can see
it, and remembers what Linux forgets: who truly bore whom.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from sentinel.core.events import Event, ProcessExecuted, ProcessExited, ProcessForked, ProcessRenamed
from sentinel.core.facts import Death, ProcessId, Stdio
from tests.model.clock import Clock

UID, ROOT_UID = 1000, 0
INIT, US, OUR_SHELL = 1, 50, 49
TICKS = 100
"""A second, as start times count."""
TMUX = "tmux: server"
NOTHING = Stdio(terminal=False, pipe=False)
TERMINAL = Stdio(terminal=True, pipe=False)
PIPE = Stdio(terminal=False, pipe=True)
_FIRST = 100
_PATIENCE = 1000
_SHORT = 0.004


@dataclass(eq=False, slots=True)
class Process:
    """A process as it is, dead ones included."""

    id: ProcessId
    bearer: Process | None
    """Who truly bore it, whatever became of that."""
    parent: Process | None
    """Whom the kernel calls its parent now."""
    group: int
    session: int
    name: str
    program: str = "/bin/sh"
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    uid: int = UID
    state: str = "S"
    terminal: int = 0
    stdio: Stdio = NOTHING
    tracer: int = 0
    hangup: str = "default"
    """``default``, ``ignored`` or ``caught``."""
    foreign: bool = False
    subreaper: bool = False
    executed: bool = False
    stubborn: bool = False
    """It ignores SIGTERM."""
    fruitful: int = 0
    """So many children it bears when it is asked to end, to put its things in order."""
    negligent: bool = False
    """It does not reap."""
    children: list[Process] = field(default_factory=list)
    status: int | None = None
    """Wait status; None while it lives."""
    died: float = 0.0
    reaped: bool = False

    unit: str = ""
    """The systemd unit that it stands in; empty for that of the login."""
    input: str = ""
    """The pipe at its descriptor 0, if that is one with a writer."""
    feeder: Process | None = None
    """Who writes into that."""
    clients: list[Process] = field(default_factory=list)
    """Who is connected to it."""
    on_screen: bool = False
    secret: bool = False
    """Its own user may not look into it."""

    # What only the people know, and the oracle after them.
    house: House | None = None
    """The session that it was born in."""
    founded: House | None = None
    """The session that it is the root of."""
    wish: str = ""
    """Why somebody wants it to live on, whatever becomes of its session."""
    kept: bool = False
    """Somebody said ``sentinel keep`` of it, or of one that bore it."""
    excused: bool = False
    """Something protected it, or what it was born of, when its session's death was answered."""
    overminds: bool = False
    """It is the tmux server that an Overmind started for itself."""
    left: float | None = None
    """When the one that bore it ended, if its session lived then."""
    seen: bool = False
    """An agent was told of its birth, or has looked since."""
    lost: bool = False
    """No agent knows in which session it was born."""

    @property
    def alive(self) -> bool:
        return self.status is None

    @property
    def pid(self) -> int:
        return self.id.pid

    def above(self) -> list[Process]:
        """Its parent, that one's parent and so on, as they are now."""
        chain, link = [], self.parent
        while link is not None and link.pid != INIT:
            chain.append(link)
            link = link.parent
        return chain


@dataclass(eq=False, slots=True)
class House:
    """A session as its person sees it: what it is, who its root is."""

    kind: str
    root: Process
    outer: House | None = None
    name: str = ""
    command: Process | None = None
    unheard: bool = False
    """The agent could not tell who said that it is one: it may be watched, or part of the session around it."""
    heirs: set[Process] = field(default_factory=set)
    """Who goes on as this session after its root's end: copies of that."""

    @property
    def alive(self) -> bool:
        return self.root.alive


class Kernel:
    """Everything that runs on this machine.

    Args:
        numbers: How many pids there are: so few that they come again and again.
        rest: Ticks for which a number is not given out again.
    """

    def __init__(self, clock: Clock, rng: Random, later: Callable[..., object], numbers: int, rest: int) -> None:
        self.clock = clock
        self.later = later
        self.rng = rng
        self.numbers = range(_FIRST, _FIRST + numbers)
        self._rest = rest
        self.table: dict[int, Process] = {}
        self.notices: deque[Event] = deque()
        self.on_end: Callable[[Process], None] = lambda _: None
        self.on_death: Callable[[Process], None] = lambda _: None
        """Called when the root of a session has ended."""
        self._last: dict[int, int] = {}
        self._freed: list[int] = []
        self._terminals = 34816
        self.init = self._add(INIT, None, "systemd", uid=ROOT_UID)
        self._add(2, None, "kthreadd", uid=ROOT_UID)
        ours = self._add(OUR_SHELL, self.init, "bash")
        self._add(US, ours, "sentinel")

    def _add(self, pid: int, parent: Process | None, name: str, **more: object) -> Process:
        made = Process(ProcessId(pid, 1), None, parent, pid, pid, name, **more)
        self.table[pid] = made
        if parent is not None:
            parent.children.append(made)
        return made

    def living(self) -> list[Process]:
        return [process for process in self.table.values() if process.alive]

    # -- system calls ----------------------------------------------------------------

    def fork(self, bearer: Process) -> Process:
        """Bear a child that is what its parent is, but for its number."""
        self.clock.now += self.rng.random() * _SHORT
        who = self._number()
        child = replace(
            bearer,
            id=who,
            bearer=bearer,
            parent=bearer,
            state="S",
            tracer=0,
            environment=dict(bearer.environment),
            subreaper=False,
            executed=False,
            stubborn=False,
            fruitful=0,
            negligent=False,
            clients=[],
            on_screen=False,
            secret=False,
            children=[],
            house=bearer.founded or bearer.house,
            founded=None,
            wish="",
            overminds=False,
            left=None,
            seen=False,
            lost=bearer.lost and bearer.founded is None,
        )
        bearer.children.append(child)
        self.table[who.pid] = child
        self.notices.append(ProcessForked(bearer.pid, who.pid, self.clock.now))
        return child

    def _number(self) -> ProcessId:
        """A free number, often one that was freed a short while ago.

        The number of a session or a group is not given out while that has members.
        """
        taken = {number for p in self.table.values() for number in (p.pid, p.session, p.group)}
        for _ in range(_PATIENCE):
            tick = int(self.clock.now * TICKS)
            recent = [n for n in self._freed if n not in taken and self._last[n] + self._rest < tick]
            again = recent and self.rng.random() < 0.6
            pid = self.rng.choice(recent if again else self.numbers)
            if pid not in taken and self._last.get(pid, -self._rest) + self._rest < tick:
                self._last[pid] = tick
                if pid in self._freed:
                    self._freed.remove(pid)
                return ProcessId(pid, int(self.clock.clock_gettime(Clock.CLOCK_BOOTTIME) * TICKS))
            self.clock.now += 0.001
        raise MachineFullError

    def execute(self, process: Process, name: str, *arguments: str, program: str = "") -> None:
        process.name, process.program = name, program or f"/usr/bin/{name}"
        process.arguments = (name, *arguments)
        process.executed = True
        if process.hangup == "caught":
            process.hangup = "default"
        self.notices.append(ProcessExecuted(process.pid))

    def rename(self, process: Process, name: str) -> None:
        process.name = name
        self.notices.append(ProcessRenamed(process.pid))

    def setsid(self, process: Process, *, terminal: bool = False) -> None:
        process.session = process.group = process.pid
        process.terminal = 0
        if terminal:
            self._terminals += 1
            process.terminal, process.stdio = self._terminals, TERMINAL

    def end(self, process: Process, status: int) -> None:
        """It ends: its children fall to whoever takes them, its parent is told."""
        if not process.alive:
            return
        self.clock.now += self.rng.random() * _SHORT / 4
        process.status, process.state, process.died = status, "Z", self.clock.now
        heir = next((link for link in process.above() if link.subreaper and link.alive), self.init)
        for child in process.children:
            child.parent = heir
            heir.children.append(child)
            if child.bearer is process and child.house is not None and child.house.alive and child.alive:
                child.left = self.clock.now
        process.children = []
        for debuggee in [one for one in self.table.values() if one.tracer == process.pid]:
            debuggee.tracer = 0
        self.notices.append(ProcessExited(process.pid, Death(self.clock.now, status)))
        for orphan in [c for c in heir.children if not c.alive and not c.reaped]:
            self._reap_by(heir, orphan)
        if process.parent is not None:
            self._reap_by(process.parent, process)
        self.on_end(process)
        if process.founded is not None:
            self.on_death(process)
        house = process.house
        if house is not None and house.command is process and house.alive:
            self.later(0.002, self.end, house.root, status)  # so does `sentinel run`
        if house is not None and process.overminds and house.alive:
            self.end(house.root, 1 << 8)  # so does an Overmind without its tmux server

    def _reap_by(self, parent: Process, child: Process) -> None:
        if not parent.negligent and parent.state != "T":
            self.reap(child)

    def reap(self, process: Process) -> None:
        """Take a dead child's number back."""
        if process.reaped:
            return
        process.reaped = True
        del self.table[process.pid]
        self._freed.append(process.pid)
        if process.parent is not None:
            process.parent.children.remove(process)

    # -- signals ---------------------------------------------------------------------

    def signal(self, process: Process, number: int) -> None:
        """Do to a process what that signal does to it."""
        if not process.alive:
            return
        if number == signal.SIGKILL:
            self.end(process, number)
        elif number == signal.SIGCONT:
            process.state = "S"
        elif number == signal.SIGCHLD:
            for child in [c for c in process.children if not c.alive]:
                self.reap(child)
        elif number == signal.SIGHUP:
            if process.hangup == "default" and process.state != "T":
                self.end(process, number)
        elif number == signal.SIGTERM and process.state != "T":
            self._asked_to_end(process)

    def _asked_to_end(self, process: Process) -> None:
        for _ in range(process.fruitful):
            child = self.fork(process)
            self.execute(child, "node", "last-words.js")
            child.stubborn = self.rng.random() < 0.3
        if process.stubborn:
            return
        if process.fruitful:
            process.fruitful = 0
            self.later(0.05, self.end, process, int(signal.SIGTERM))
        else:
            self.end(process, signal.SIGTERM)

    def hang_up(self, shell: Process) -> None:
        """The terminal of an interactive shell is gone: it hands that on to its jobs, and dies."""
        for job in list(shell.children):
            if job.alive and job.session == shell.session and job.wish != "disowned":
                self.signal(job, signal.SIGHUP)
        self.end(shell, signal.SIGHUP)


class MachineFullError(Exception):
    """No number is free."""
