"""Random trees of real processes, each with the truth about who must live.

A tree is a plan for ``actor.c`` and a table: of each process that is there when a session
dies, whether it has to live or to be ended, and why. The table follows from how the tree is
made and from what docs/safety.md and docs/rules.md promise. It knows nothing of the guards'
code, nor of anything else in ``sentinel``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from signal import SIGKILL, SIGSEGV, SIGTERM, SIGUSR1

AGENTS = ("claude", "codex", "gemini", "opencode", "aider", "goose", "amp", "crush")
PROGRAMS = ("server", "node", "vite", "python3", "vim", "less", "esbuild", "puma", "worker")
"""What plain processes are called, in the sessions that die and beside them."""
WORDS = ("", "notes-cat-EOF", "overmind-start", "claude", "sentinel.md", "--codex")
"""What they have on their command lines."""
MOST_NODES = 60

KILLED = {"kill": SIGKILL, "term": SIGTERM, "crash": SIGSEGV}
"""Ways to die that somebody else brings about, and their signals."""
BY_ITSELF = {"exit": "end 0", "fail": "end 3", "breath": "die 9"}
"""Ways to die by oneself, and the last step."""


@dataclass(slots=True)
class Session:
    """A session as the plan means it."""

    kind: str
    """``nobody``, ``agent``, ``run``, ``tmux`` or ``pane``."""
    dies: str = ""
    """How its root ends; empty: it lives on."""
    mercy: str = ""
    """Why all that it leaves is spared."""
    name: str = ""


@dataclass(slots=True)
class Spot:
    """A process under which the tree may grow."""

    node: int
    session: Session
    shelter: str = ""
    """Why what hangs under it is spared, if it is."""
    sure: bool = True
    """Who samples births has seen it under its parents."""
    depth: int = 0
    caught: bool = False
    """What a session loses here falls to another one that lives."""
    root: bool = False
    closed: bool = False
    """Only what is content to hang here may grow: what is lost would have a fate that nobody promises."""
    in_pane: bool = False
    """It is under a living tmux server."""
    single: bool = False
    """No session may grow here: what that lost would be caught in a pane, or not, as the case may be."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A process that is there at the death, or is born in it, and its fate."""

    node: int
    shape: str
    lives: bool
    why: str
    sure: bool
    late: bool = False
    """Born so late that only its bearer tells of it."""
    stopped: bool = False


@dataclass(slots=True)
class Tree:
    """A plan under way.

    Args:
        seed: Of all that is random here.
        place: Path of the plan without its number; sockets are made beside it.
        sentinel: Words that start Sentinel.
    """

    seed: int
    place: str
    sentinel: tuple[str, ...]
    rng: random.Random = field(init=False)
    actors: dict[int, Actor] = field(default_factory=dict)
    deaths: list[tuple[int, int]] = field(default_factory=list)
    """Who gets which signal, in this order."""
    unlinked: list[str] = field(default_factory=list)
    """Sockets whose files go once the tree stands."""
    awaited: set[int] = field(default_factory=set)
    """Who has to say that it is ready before anybody dies."""
    _steps: list[list[str]] = field(default_factory=list)
    _late: dict[int, list[str]] = field(default_factory=dict)
    """Steps of a root that dies by itself, after the word to do so."""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311 - to be the same each time

    @property
    def path(self) -> str:
        """Where the plan has to be written."""
        return f"{self.place}-{self.seed}"

    @property
    def plan(self) -> str:
        """The text of the plan."""
        lines = [f"{node} {step}" for node, steps in enumerate(self._steps) for step in steps]
        return "\n".join(lines) + "\n"

    @property
    def full(self) -> bool:
        """Whether it should grow no further."""
        return len(self._steps) >= MOST_NODES

    # -- the plan ----------------------------------------------------------------------

    def node(self, *steps: str) -> int:
        """A new process; its bearer still has to be told."""
        self._steps.append(list(steps))
        return len(self._steps) - 1

    def steps(self, node: int, *steps: str) -> None:
        """What it does next."""
        self._steps[node] += steps

    def bear(self, spot: Spot, *steps: str) -> int:
        """A child of this one."""
        child = self.node(*steps)
        self.steps(spot.node, f"bear {child}")
        return child

    def pass_on(self, spot: Spot, *steps: str) -> Spot:
        """A child that bears others and ends before the death; whoever bore it waits for that."""
        child = self.bear(spot, *steps)
        self.steps(spot.node, f"reap {child}")
        return replace(spot, node=child, sure=False)

    def tree_of(self, node: int, step: int = 0) -> str:
        """The variable by which a program that somebody else starts goes on as this node."""
        return f"TREE={self.path}:{node}:{step}"

    def be(self, words: str = "") -> str:
        """The step that makes it another program; a plain one by default."""
        if not words:
            words = f"{self.rng.choice(PROGRAMS)} {self.rng.choice(WORDS)}".strip()
        return f"be {words}"

    # -- the truth ---------------------------------------------------------------------

    def dwell(self, spot: Spot, node: int, shape: str, mercy: str = "", **more: bool) -> Spot:
        """Write down the fate of a process of the spot's session, and return the spot that it is.

        Args:
            spot: Whom it hangs under, or would if it had not been lost.
            node: It.
            shape: What is special about it.
            mercy: Why it is spared though its session dies, if it is.
            more: ``late``, ``stopped``; ``lost``: it hangs under nobody of its session;
                ``doubtful``: who samples births takes it for one that may have been lost.
        """
        lost, doubtful = more.pop("lost", False), more.pop("doubtful", False)
        session = spot.session
        if not session.dies:
            why = "no session bore it" if session.kind == "nobody" else "its session lives"
        else:
            why = mercy or ("" if lost else spot.shelter) or session.mercy
            why = why or ("it hangs under another session that lives" if spot.caught else "")
        sure = spot.sure and not (lost or doubtful or more.get("late"))
        self.actors[node] = Actor(node, shape, bool(why), why or "its session is dead", sure, **more)
        shelter = "it hangs under one that is spared" if session.dies and why else ""
        closed = spot.closed or bool(mercy)
        return replace(spot, node=node, shelter=shelter, sure=sure, depth=spot.depth + 1, root=False, closed=closed)

    def is_ready(self, node: int) -> None:
        """From here on it is as it will be."""
        self.awaited.add(node)
        self.steps(node, "says")
        if (actor := self.actors.get(node)) is not None and actor.stopped:
            self.steps(node, "stop")

    def tells_of(self, node: int, parent: int) -> None:
        """Its parent, which cannot speak for itself, is ready when it says so."""
        self.awaited.add(parent)
        self.steps(node, f"says {parent}")

    def breathe(self, node: int, *steps: str) -> None:
        """What a root that dies by itself does at the last moment."""
        self._late.setdefault(node, []).extend(steps)

    def finish(self, node: int, session: Session, victim: int) -> None:
        """The last steps of the root ``node`` of a session, and how it ends if it does.

        Args:
            node: Dies by itself, if anybody does.
            session: Says how.
            victim: Who is killed, if anybody is.
        """
        self.is_ready(node)
        if session.dies in KILLED:
            self.deaths.append((victim, KILLED[session.dies]))
        elif session.dies in BY_ITSELF:
            self.deaths.append((node, SIGUSR1))
            self.steps(node, "await", *self._late.pop(node, ()), BY_ITSELF[session.dies])
