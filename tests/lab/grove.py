"""Plants many trees at once under a running agent, kills their sessions, and counts who is wrong."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.lab.shapes import make
from tests.lab.stage import HERE, alive, interpreter, lab_user, until
from tests.lab.trees import AGENTS, PROGRAMS, Actor, Tree

GRACE = 0.3
_PATIENCE = 10.0
"""Seconds that the doomed have: grace, force, and what is done for other trees meanwhile."""
_AFTERWARDS = 2 * GRACE
"""Seconds in which somebody could still be ended by mistake, once all of the doomed are."""


@dataclass(slots=True)
class Harvest:
    """What came of some trees."""

    trees: int = 0
    living: int = 0
    doomed: int = 0
    """Of these it is known that they must be found."""
    unproven: int = 0
    """Dead sessions' own, but a source that samples may not have seen whose."""
    wrong: list[str] = field(default_factory=list)
    """Ended, and should have lived."""
    missed: list[str] = field(default_factory=list)
    """Alive, and should have been ended."""
    shapes: Counter[tuple[str, bool]] = field(default_factory=Counter)

    def __str__(self) -> str:
        """The sentences that a failed test shows."""
        found = 1 - len(self.missed) / max(self.doomed, 1)
        said = [
            f"{self.trees} trees: of {self.living} that had to live {len(self.wrong)} were ended",
            f"of {self.doomed} true orphans {100 * found:.3f} % were found ({self.unproven} more were unproven)",
            *(f"  WRONG  {line}" for line in self.wrong),
            *(f"  missed {line}" for line in self.missed),
        ]
        return "\n".join(said)


class Grove:
    """A stage with an agent that watches, on which trees are planted batch by batch.

    Args:
        stage: Its agent runs.
        sampled: The agent samples births, every so many seconds; 0: it is told of them.
    """

    def __init__(self, stage, sampled: float = 0.0) -> None:
        self.stage = stage
        self.sampled = sampled
        self.harvest = Harvest()
        self._keep = set(stage.everyone())
        build_actors(stage)
        (stage.home / "plans").mkdir()
        os.chown(stage.home / "plans", *lab_user())

    def play(self, seeds) -> None:
        """Plant a tree for each seed, let the sessions die, and look who is left."""
        place = str(self.stage.home / "plans" / "p")
        trees = [make(seed, place, tuple(interpreter())) for seed in seeds]
        ground = self.stage.start("bin/ground", "ground", stdin=subprocess.PIPE)
        with contextlib.ExitStack() as held:
            grown = [_Grown(tree, held) for tree in trees]
            for one in grown:
                one.plant(ground)
            until(lambda: all(one.stands() for one in grown), f"seeds {seeds} standing: {_waiting(grown)}", 60)
            for one in grown:
                one.hold()
            time.sleep(4 * self.sampled)
            self._kill(grown)
            self._wait(grown)
            for one in grown:
                self._count(one)
        self._clear()
        ground.stdin.close()
        ground.wait()

    def _kill(self, grown) -> None:
        deaths = [(one, *death) for one in grown for death in one.tree.deaths]
        deaths.sort(key=lambda death: hash((death[0].tree.seed * 7919, death[1])))  # in some order, always the same
        for one, node, number in deaths:
            self.stage.kill(one.ready[node], number)

    def _wait(self, grown) -> None:
        """Until all that are doomed have ended, or have had their time."""
        deadline = time.monotonic() + _PATIENCE
        while any(one.left(self.sampled) for one in grown) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not (deaf := [one.tree.seed for one in grown if one.lingers()]), f"in seeds {deaf} nobody has died"
        time.sleep(_AFTERWARDS)

    def _count(self, one) -> None:
        harvest = self.harvest
        harvest.trees += 1
        one.read()
        for actor in one.tree.actors.values():
            harvest.shapes[actor.shape, actor.lives] += 1
            if actor.lives:
                harvest.living += 1
                if one.ended(actor) and not (self.sampled and actor.late and actor.node not in one.born):
                    harvest.wrong.append(self._about(one, actor))
            elif self.sampled and not actor.sure:
                harvest.unproven += 1
            elif actor.node in one.born or actor.node in one.ready:
                harvest.doomed += 1
                if not one.ended(actor):
                    harvest.missed.append(self._about(one, actor))

    def _about(self, one, actor: Actor) -> str:
        pid = one.pid(actor.node)
        said = (
            self.stage.sentinel("explain", str(pid)).stdout.strip().replace("\n", "\n      ") if pid else "never born"
        )
        return f"seed {one.tree.seed} node {actor.node} pid {pid}: {actor.shape} ({actor.why})\n      {said}"

    def _clear(self) -> None:
        """End all but the agent."""

        def gone():
            left = [pid for pid in self.stage.everyone() if pid not in self._keep]
            for pid in left:
                with contextlib.suppress(OSError, AssertionError):
                    self.stage.kill(pid)
            return not left

        until(gone, "the end of the trees")


class _Grown:
    """A tree that stands, or is about to."""

    def __init__(self, tree: Tree, held: contextlib.ExitStack) -> None:
        self.tree = tree
        self.born: dict[int, int] = {}
        self.ready: dict[int, int] = {}
        self._held = held
        self._fds: dict[int, int] = {}

    def plant(self, ground) -> None:
        with open(self.tree.path, "w") as file:
            file.write(self.tree.plan)
        ground.stdin.write(f"{self.tree.path} 0\n".encode())
        ground.stdin.flush()

    def read(self) -> None:
        with contextlib.suppress(FileNotFoundError), open(f"{self.tree.path}.told") as file:
            for line in file.read().rpartition("\n")[0].splitlines():
                what, node, pid = line.split()
                (self.ready if what == "ready" else self.born)[int(node)] = int(pid)

    def missing(self) -> set[int]:
        return self.tree.awaited - self.ready.keys()

    def stands(self) -> bool:
        """Whether everybody is as they shall be."""
        if self.missing():
            self.read()
        stopped = (self.ready[a.node] for a in self.tree.actors.values() if a.stopped and not self.missing())
        return not self.missing() and all(_state(pid) in "Tt" for pid in stopped)

    def hold(self) -> None:
        """Take hold of everybody, so that no number can be mistaken, and unlink the sockets that are to be lost."""
        for path in self.tree.unlinked:
            os.unlink(path)
        for node in self.tree.actors.keys() & self.ready.keys():
            self._fds[node] = os.pidfd_open(self.ready[node])
            self._held.callback(os.close, self._fds[node])

    def pid(self, node: int) -> int:
        return self.ready.get(node) or self.born.get(node, 0)

    def ended(self, actor: Actor) -> bool:
        """Whether it has ended. Of who is born late only the number is known, but that is not used again so soon."""
        if (fd := self._fds.get(actor.node)) is not None:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            return bool(poll.poll(0))
        return not alive(self.pid(actor.node))

    def lingers(self) -> bool:
        """Whether a root that was to die lives."""
        return any(alive(self.ready[node]) for node, _ in self.tree.deaths)

    def left(self, sampled: float) -> bool:
        """Whether one that is doomed lives, or one that was to die first."""
        if self.lingers():
            return True
        self.read()
        doomed = (a for a in self.tree.actors.values() if not a.lives and (a.sure or not sampled))
        return any(not self.ended(actor) for actor in doomed if self.pid(actor.node))


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2][1]


def _waiting(grown) -> str:
    return ", ".join(f"{one.tree.seed}: {one.missing()}" for one in grown if one.missing())


def build_actors(stage) -> None:
    """Compile the actor into the stage's ``bin``, under every name that is needed."""
    if shutil.which("gcc") is None:
        pytest.skip("missing: gcc")
    folder = stage.home / "bin"
    folder.mkdir(exist_ok=True)
    ground = folder / "ground"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", ground, HERE / "actor.c"], check=True)
    for name in (*AGENTS, *PROGRAMS, "npm", "systemd"):
        shutil.copy(ground, folder / name)
