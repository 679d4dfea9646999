"""What one look at a project shows."""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.core.facts import Gone, ProcessFacts, ProcessId, SocketFacts, Unknown
from sentinel.core.sessions import SocketMark
from sentinel.environments.notes import Started
from sentinel.environments.project import Project

OVERMIND = "overmind"


@dataclass(frozen=True, slots=True)
class Claim:
    """A process that is the project's, and why."""

    facts: ProcessFacts
    evidence: tuple[str, ...]
    managed: bool
    """It is what stands over the project, or was born of that: wherever it runs, it is the project's."""
    top: int = 0
    """The pid of the topmost one above it that is claimed by itself; its own if that is it."""
    strayed: bool = False
    """It left whoever bore it while that went on, as daemons do: it may have been meant to stay."""


@dataclass(frozen=True, slots=True)
class Manager:
    """The living process that stands over the project's others."""

    kind: str
    """``overmind``, ``honcho`` or ``command``."""
    facts: ProcessFacts
    socket: str = ""
    """Where it listens; empty where nobody can reach it."""
    label: str = ""
    """The name of its tmux server's socket."""


@dataclass(frozen=True, slots=True)
class Server:
    """A tmux server of the project."""

    facts: ProcessFacts
    label: str
    socket: SocketMark | None
    managed: bool
    """Its Overmind lives."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who listens on a port."""

    uid: int
    pid: int = 0
    """0: nobody but its own user may see which process it is."""
    name: str = ""
    directory: str = ""
    ours: bool = False
    """It is the project's."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What one look at a project shows."""

    project: Project
    started: Started | None
    managers: tuple[Manager, ...]
    servers: tuple[Server, ...]
    claims: dict[ProcessId, Claim]
    ports: dict[int, tuple[Holder, ...]] | Unknown
    """Who has each of the project's ports."""
    socket: SocketFacts | Gone | Unknown
    """What lies where its Overmind listens."""
    dead_sockets: tuple[SocketMark, ...]
    """tmux sockets of its Overminds, which nobody holds."""
    directories: tuple[str, ...]
    """Overmind's script directories of its name that no living tmux server has."""

    @property
    def manager(self) -> Manager | None:
        """Who stands over the project: the one that can be reached, if there are more."""
        return next(iter(sorted(self.managers, key=lambda one: not one.socket)), None)

    @property
    def runs(self) -> bool:
        """Whether anything of it lives."""
        return bool(self.managers or self.servers or self.claims)

    @property
    def stale_socket(self) -> bool:
        """Whether a file that nobody holds is in the way of the next start."""
        found = self.socket
        return isinstance(found, SocketFacts) and (not found.is_socket or found.bound is False)

    @property
    def zombies(self) -> tuple[Server, ...]:
        """Servers whose Overmind has ended."""
        return tuple(server for server in self.servers if not server.managed)

    @property
    def strays(self) -> list[Claim]:
        """Processes that nothing stands over any more, neither a manager nor a tmux server."""
        servers = {server.facts.id.pid for server in self.servers}
        lone = [claim for claim in self.claims.values() if claim.top not in servers]
        return lone if self.manager is None else [claim for claim in lone if not claim.managed]

    @property
    def serves(self) -> bool:
        """Whether a process of the project has one of its ports."""
        ports = self.ports if isinstance(self.ports, dict) else {}
        return any(one.ours for held in ports.values() for one in held)

    @property
    def strangers(self) -> dict[int, Holder]:
        """Ports that somebody else has."""
        if isinstance(self.ports, Unknown):
            return {}
        return {port: one for port, held in self.ports.items() for one in held if not one.ours}
