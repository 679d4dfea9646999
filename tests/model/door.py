"""The observe door, opened on the little kernel; nothing behind it is the agent's code.

What stands in, and why: procfs, pidfds, the proc connector and the wait on a pidfd are the
kernel itself. Overmind's and tmux's own files are not this model's subject, nor is the
journal. All that decides and acts - ledger, guards, judge, plan, every handler, the reaper -
is the agent's own, wired by ``app.build``.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from random import Random
from types import SimpleNamespace
from unittest.mock import patch

import psutil

from sentinel import runs
from sentinel.core.facts import Above, Gone, ProcessFacts, ProcessId, Stdio, Surroundings, Unknown
from sentinel.core.guards import Ourselves
from sentinel.observe import processes
from sentinel.observe.overmind import Overmind
from sentinel.observe.tmux import TmuxServer
from tests.model.kernel import OUR_SHELL, TICKS, UID, US, Kernel, Process

OURSELVES = Ourselves(US, US, UID, frozenset({OUR_SHELL}))
OVERMINDS = "overmind-app-"
"""How the labels of its tmux servers begin here."""
_BOOT = "a-boot"
_BUILT_ON_THEM = frozenset({"chain", "descendants", "ended", "tree"})
"""What ``observe.processes`` makes of the other looks: the agent's own."""


class Door:
    """What the agent sees of the kernel, through witnesses that may fail.

    ``fog`` is the chance that a witness does not answer.
    """

    def __init__(self) -> None:
        self.kernel: Kernel
        self.rng = Random(0)  # noqa: S311 - a history, not a secret
        self.fog = 0.0
        self.signalled = lambda process, number: None
        self.marks: dict[int, runs.Mark] = {}
        self.snapshot = b""
        self.sampled = self.saved = lambda: None
        """Called when a sample is taken, and when a snapshot is."""

    def enter(self, kernel: Kernel, rng: Random) -> None:
        self.kernel, self.rng, self.fog = kernel, rng, 0.0
        self.marks, self.snapshot = {}, b""

    def _foggy(self, question: str) -> Unknown | None:
        if self.fog and self.rng.random() < self.fog:
            return Unknown(question, "the model says so")
        return None

    def _there(self, pid: int, question: str) -> Process | Gone | Unknown:
        if (failed := self._foggy(question)) is not None:
            return failed
        return self.kernel.table.get(pid, Gone())

    # -- sentinel.observe.processes --------------------------------------------------

    def identify(self, pid: int) -> ProcessId | Gone | Unknown:
        found = self._there(pid, f"who process {pid} is")
        return found.id if isinstance(found, Process) else found

    def above(self, pid: int) -> Above | Gone | Unknown:
        found = self._there(pid, f"what process {pid} hangs under")
        if not isinstance(found, Process):
            return found
        return Above(found.id, found.parent.pid if found.parent else 0, found.name, not found.alive)

    def look(self, pid: int) -> ProcessFacts | Gone | Unknown:
        found = self._there(pid, f"what process {pid} is")
        if not isinstance(found, Process):
            return found
        return ProcessFacts(
            id=found.id,
            parent=0 if found.parent is None or (found.foreign and not found.parent.foreign) else found.parent.pid,
            group=found.group,
            session=found.session,
            terminal=found.terminal,
            state=found.state,
            name=found.name,
            uid=found.uid,
            tracer=found.tracer,
            hangup_ignored=found.hangup == "ignored",
            hangup_caught=found.hangup == "caught",
            foreign_namespace=found.foreign,
            kernel_thread=found.pid == 2,
        )

    def stdio(self, pid: int) -> Stdio | Unknown:
        found = self._there(pid, f"where the input of process {pid} leads")
        if isinstance(found, Process) and found.alive:
            return found.stdio
        return found if isinstance(found, Unknown) else Unknown("its input", "it has ended")

    def children(self, pid: int) -> list[int] | Unknown:
        found = self._there(pid, f"what process {pid} bore")
        if isinstance(found, Process):
            return [child.pid for child in found.children]
        return found if isinstance(found, Unknown) else Unknown("its children", "it has ended")

    def comm(self, pid: int) -> str:
        found = self._there(pid, "what it is")
        return found.name if isinstance(found, Process) else ""

    def program(self, pid: int) -> tuple[str, tuple[str, ...]] | Unknown:
        found = self._there(pid, "what it is")
        if isinstance(found, Process) and found.alive and found.uid == UID:
            return found.program, found.arguments
        return Unknown(f"what process {pid} runs", "the model says so")

    def environment(self, pid: int, name: str) -> str | Unknown:
        found = self._there(pid, "what it is")
        if isinstance(found, Process) and found.alive and found.uid == UID:
            return found.environment.get(name, "")
        return Unknown(f"the environment of process {pid}", "the model says so")

    def only_forked(self, pid: int) -> bool | Unknown:
        found = self._there(pid, "what it is")
        return not found.executed if isinstance(found, Process) else Unknown("whether it is a copy", "it has ended")

    def catches(self, pid: int, _: int) -> bool | Unknown:
        found = self._there(pid, f"which signals process {pid} catches")
        return found.hangup == "caught" if isinstance(found, Process) else Unknown("what it catches", "it has ended")

    def variables(self, pid: int, names) -> dict[str, str] | Unknown:
        found = self._there(pid, f"the environment of process {pid}")
        if not isinstance(found, Process):
            return Unknown("its environment", "it has ended")
        return {name: value for name, value in found.environment.items() if name in names}

    def memory(self, _: int) -> int:
        return 0

    def working_directory(self, pid: int) -> str:
        return "/srv/app"

    def boot_id(self) -> str:
        return _BOOT

    def ticks_per_second(self) -> int:
        return TICKS

    def everyone(self) -> list[int] | Unknown:
        return self._foggy("who lives") or list(self.kernel.table)

    def owner(self, pid: int) -> int | None:
        found = self._there(pid, "what it is")
        return found.uid if isinstance(found, Process) else None

    def population(self, uid: int) -> int:
        return sum(process.uid == uid for process in self.kernel.living())

    # -- what else is looked at ------------------------------------------------------

    def server_of(self, pid: int) -> TmuxServer | Unknown:
        found = self._there(pid, "what it is")
        if not isinstance(found, Process):
            return Unknown("which tmux server it is", "no answer")
        label = found.arguments[-1] if found.arguments else "default"
        return TmuxServer(None, label, is_overminds=label.startswith(OVERMINDS))

    def describe(self, pid: int) -> Overmind | Unknown:
        found = self._there(pid, "what it is")
        if not isinstance(found, Process):
            return Unknown("what Overmind it is", "no answer")
        return Overmind("app", "/srv/app", "/srv/app/.overmind.sock", "/tmp")  # noqa: S108 - a word of the model, no file

    def around(self, pid: int, inside, own_input: str) -> Surroundings | Unknown:
        """The second look."""
        found = self._there(pid, f"whom process {pid} works for")
        if not isinstance(found, Process) or not found.alive or found.secret:
            return Unknown(f"whom process {pid} works for", "the model says so")
        clients = tuple(f"{c.name} (pid {c.pid})" for c in found.clients if c.alive and c.pid not in inside)
        feeder = found.feeder if found.input and found.input != own_input else None
        fed = feeder is not None and feeder.alive and feeder.pid not in inside
        return Surroundings(
            cgroup=found.unit,
            program=found.program,
            keep=found.environment.get("SENTINEL_KEEP", "0") != "0",
            clients=clients,
            on_screen=found.on_screen,
            feeder="whoever writes into its input" if fed else "",
        )

    def neighbourhood(self) -> SimpleNamespace:
        return SimpleNamespace(around=self.around, close=lambda: None)

    def cgroup_of(self, pid: int) -> str:
        found = self._there(pid, "its unit")
        return found.unit if isinstance(found, Process) else ""

    def input_of(self, pid: int) -> str:
        found = self._there(pid, "its input")
        return found.input if isinstance(found, Process) else ""

    def read_mark(self, _: object, pid: int) -> runs.Mark | None:
        return self.marks.get(pid)

    def all_marks(self, _: object) -> Iterator[runs.Mark]:
        return iter(self.marks.values())

    def who_left_marks(self, _: object) -> list[int]:
        return list(self.marks)

    def erase_mark(self, _: object, pid: int) -> None:
        self.marks.pop(pid, None)

    def leave_mark(self, process: Process, name: str, command: int) -> None:
        self.marks[process.pid] = runs.Mark(_BOOT, process.pid, process.id.start, name, "/srv/app", command)

    def psutil(self) -> SimpleNamespace:
        """What the samples are taken with."""

        def process(pid: int) -> SimpleNamespace:
            found = self.kernel.table.get(pid)
            if found is None:
                raise psutil.NoSuchProcess(pid)
            return SimpleNamespace(ppid=lambda: found.parent.pid if found.parent else 0)

        def pids() -> list[int]:
            self.sampled()
            return list(self.kernel.table)

        return SimpleNamespace(pids=pids, Process=process, Error=psutil.Error)

    def read_snapshot(self, *_: object) -> bytes:
        if not self.snapshot:
            raise FileNotFoundError
        return self.snapshot

    def write_snapshot(self, _: object, content: bytes) -> None:
        self.snapshot = content
        self.saved()

    # -- the reaper's system calls ---------------------------------------------------

    def send(self, grip: Process, number: int) -> None:
        """``pidfd_send_signal``: what it goes to cannot be another."""
        if not grip.alive:
            raise ProcessLookupError
        self.signalled(grip, number)
        if grip.uid != UID:
            raise PermissionError(1, "Operation not permitted")
        self.kernel.signal(grip, number)

    async def ended(self, grips: dict[Process, ProcessId], deadline: float) -> list[ProcessId]:
        """Wait until all have ended or the time is over; the real one waits on pidfds."""
        while not (done := all(not grip.alive for grip in grips)) and self.kernel.clock.now < deadline:
            await asyncio.sleep(0.02)
        return list(grips.values()) if done else [who for grip, who in grips.items() if not grip.alive]


def _not_shown(look: str) -> Callable[..., object]:
    """Stands in for a look that the door does not show yet: whoever takes it is told what to do."""

    def taken(*_: object) -> object:
        raise AssertionError(f"the model's door does not show processes.{look}: write it in tests/model/door.py")

    return taken


@contextlib.contextmanager
def opened(clock) -> Iterator[Door]:
    """Have every room of the agent look through a door on a little kernel, in this clock's time."""
    door = Door()
    looks = {name: getattr(door, name, _not_shown(name)) for name in processes.__all__ if name not in _BUILT_ON_THEM}
    system = SimpleNamespace(close=lambda _: None)
    signals = SimpleNamespace(
        Signals=signal.Signals,
        SIGTERM=signal.SIGTERM,
        SIGKILL=signal.SIGKILL,
        SIGCHLD=signal.SIGCHLD,
        pidfd_send_signal=door.send,
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.multiple("sentinel.observe.processes", **looks))
        stack.enter_context(patch("sentinel.handlers.examiner.Neighbourhood", door.neighbourhood))
        stack.enter_context(
            patch.multiple("sentinel.handlers.openings", cgroup_of=door.cgroup_of, input_of=door.input_of)
        )
        stack.enter_context(patch.multiple("sentinel.observe.cgroups", of=lambda _: "", processes_in=lambda _: []))
        stack.enter_context(patch("sentinel.observe.tmux.server_of", door.server_of))
        stack.enter_context(patch("sentinel.observe.overmind.describe", door.describe))
        stack.enter_context(patch("sentinel.observe.sockets.listening_sockets_of", lambda *_: []))
        stack.enter_context(
            patch.multiple(
                "sentinel.runs",
                read=door.read_mark,
                pids=door.who_left_marks,
                marks=door.all_marks,
                erase=door.erase_mark,
            )
        )
        stack.enter_context(
            patch.multiple("sentinel.reaper.signals", os=system, signal=signals, HAS_PIDFD=True, _ended=door.ended)
        )
        stack.enter_context(
            patch.multiple("sentinel.atomic", read_file=door.read_snapshot, replace_file=door.write_snapshot)
        )
        stack.enter_context(patch("sentinel.sources.polling.psutil", door.psutil()))
        for name, module in list(sys.modules.items()):
            if name.startswith("sentinel.") and getattr(module, "time", None) is time:
                stack.enter_context(patch.object(module, "time", clock))
        yield door
