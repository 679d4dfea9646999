"""Sessions: things a person started that own processes and can die."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from sentinel.core.facts import ProcessId

_NOT_IN_A_SLUG = re.compile(r"[^A-Za-z0-9_.%-]+")


class Kind(StrEnum):
    """What sort of thing a session is. Policy is set per kind."""

    OVERMIND = "overmind"
    TMUX = "tmux"
    """A tmux server."""
    PANE = "pane"
    """One pane of a tmux server: the terminal that a person sees."""
    AGENT = "agent"
    """A coding agent."""
    RUN = "run"
    """Started by ``sentinel run``."""
    REGISTERED = "registered"
    """It said of itself that it is one: ``sentinel session register``."""


@dataclass(frozen=True, slots=True)
class SocketMark:
    """A socket file that a session made, as it was while the session lived."""

    path: str
    device: int | None = None
    inode: int | None = None
    """None when the session died before anybody looked: the path alone is known."""


@dataclass(frozen=True, slots=True)
class Belongings:
    """Files that a session leaves behind when it dies badly."""

    sockets: tuple[SocketMark, ...] = ()
    directories: tuple[str, ...] = ()
    """Script directories that are this session's by name."""
    title: str = ""
    """Overmind's title: the prefix of script directories whose owner must still be proven."""
    script_root: str = ""
    """Where Overmind makes its script directories."""


@dataclass(frozen=True, slots=True)
class Session:
    """Something a person started that owns processes and can die.

    A session is identified by its root process: ``key`` holds the pid and the start time,
    so the next session of the same name is another one.
    """

    kind: Kind
    name: str
    root: ProcessId
    outer: str = ""
    """Key of the session it was born in, which it shadows."""
    registered: tuple[str, ...] = ()
    """Its ids in the registry, which people may use beside its name."""
    forgotten: tuple[str, ...] = ()
    """Names of the sessions that were around it at its birth, and are dead and in no book any more."""
    directory: str = ""
    born: float = 0.0
    """Wall-clock seconds since the epoch."""
    belongings: Belongings = Belongings()
    sid: int = 0
    """The session id (setsid(2)) that its root runs in; 0 when that is not known."""
    cgroup: str = ""
    """Where its root stood at first, see ``Surroundings.cgroup``; empty when that is not known."""
    scope: str = ""
    """Path of the control group in which only what it bore can be; empty when there is none."""
    input: str = ""
    """Where descriptor 0 of its root led at first (``pipe:[1234]``): what its members have from
    there is the session's own input, and nobody who waits for one of them."""
    command: int = 0
    """For ``run``: the pid of the command. The root is its wrapper, a child subreaper."""
    conversation: str = ""
    """For a coding agent: what it calls its session, as its hooks told."""
    tasks: tuple[str, ...] = ()
    """For a coding agent: what it said to be running in the background when its last turn was over."""
    unattended: bool = False
    """A coding agent that nobody sits at (CI): its clean-up is quick, and nobody is notified."""

    @property
    def id(self) -> str:
        """Short name for people, and never an option: unique among living sessions, reused like pids are."""
        return f"{_NOT_IN_A_SLUG.sub('-', self.name).lstrip('-') or self.kind}-{self.root.pid}"

    @property
    def key(self) -> str:
        """The id and its generation: never reused."""
        return f"{self.id}@{self.root.start}"

    @property
    def names(self) -> tuple[str, ...]:
        """What people call it, and called the sessions that were around it: what a wish may name it by."""
        return (self.name, *self.registered, *self.forgotten)

    @property
    def title(self) -> str:
        """The noun phrase for sentences: ``claude`` or ``tmux server "default"``."""
        match self.kind:
            case Kind.TMUX:
                return f'tmux server "{self.name}"'
            case Kind.PANE:
                return f"tmux pane {self.name}"
            case Kind.OVERMIND:
                return f'Overmind "{self.name}"'
            case Kind.RUN:
                return f'"{self.name}"'
            case Kind.REGISTERED:
                return f'session "{self.name}"'
            case Kind.AGENT:
                return self.name
