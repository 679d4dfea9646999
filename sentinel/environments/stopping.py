"""Stops a project: its manager is asked to quit, then, always, what the project still owns is ended.

Every step is told, also when there was nothing to do: a step that says nothing cannot be told
from one that did not work.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import Enum, StrEnum, auto

from sentinel.core.actions import Outcome, Result
from sentinel.core.consent import BY_STOPPING, BY_STOPPING_ITS_OWN, MEANT_TO_STAY
from sentinel.core.facts import ProcessFacts, ProcessId, SocketFacts, Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.environments import wording
from sentinel.environments.aside import put_empty_aside
from sentinel.environments.ending import Ending, LookAround
from sentinel.environments.project import Project
from sentinel.environments.quitting import quit_manager
from sentinel.environments.scene import Claim, Survey
from sentinel.environments.survey import survey
from sentinel.errors import SentinelError
from sentinel.observe import processes
from sentinel.paths import Paths

_ROUNDS = 3
"""Looks for what was born while others were ended."""
_FAREWELL = 1.0
"""Seconds that Overmind takes by itself when all that it runs has ended (2.5.1)."""
_AGGRESSIVE_GRACE = 0.5
_NOBODY = ProcessId(0, 0)
"""Who left a file is not known any more."""
_NOT_A_SOCKET = ".not-a-socket"


class Level(StrEnum):
    """How hard a stop acts; never on whom."""

    GRACEFUL = "graceful"
    AGGRESSIVE = "aggressive"


class Step(Enum):
    """What is told together."""

    SERVERS = auto()
    PORTS = auto()
    OTHERS = auto()


class Stop:
    """One stop of one project.

    Args:
        look_around: See ``Ending``.
        say: Takes a line.
        for_a_start: Only what is in the way of a start is ended: who starts a project has not asked for more.
    """

    def __init__(
        self,
        where: Paths,
        project: Project,
        look_around: LookAround,
        say: Callable[[str], object],
        *,
        for_a_start: bool = False,
    ) -> None:
        self._where = where
        self._project = project
        self._look_around = look_around
        self._say = say
        self._for_a_start = for_a_start
        self._done: dict[ProcessId, Outcome] = {}
        self._known: dict[ProcessId, Claim] = {}

    def all(self, level: Level) -> bool:
        """Have the manager quit, then sweep. Whether nothing of the project is left.

        Raises:
            SentinelError: Nothing may be ended now, or we run inside of it.
        """
        seen = survey(self._where, self._project)
        self._refuse_from_within(seen)
        if not seen.managers:
            self._say("no Overmind runs, nor anything else that stands over it")
        elif level is Level.GRACEFUL:
            ending = self._ending(seen, seen.claims)
            grace = self._grace(ending, level)
            for manager in seen.managers:
                servers = [server.facts.id for server in seen.servers if server.label == manager.label]
                came = asyncio.run(quit_manager(ending, manager, servers, grace + _FAREWELL))
                self._say(f"{wording.MANAGERS[manager.kind]} (pid {manager.facts.id.pid}) {came}")
        return self.sweep(level, seen)

    def sweep(self, level: Level, before: Survey) -> bool:
        """End what the project owns, and remove what it left. Whether nothing is left.

        Args:
            level: How long what is asked to end may take.
            before: A look at it while its manager lived: what that bore stays the project's.
        """
        first = _in_the_way(before) if self._for_a_start else before.claims
        self._known = {who: claim for who, claim in first.items() if claim.managed}
        seen = before
        for _ in range(_ROUNDS):
            seen = survey(self._where, self._project)
            if self._for_a_start and seen.manager is not None:
                self._say(f"it was started meanwhile, by somebody else (pid {seen.manager.facts.id.pid})")
                return False
            claimed = _in_the_way(seen) if self._for_a_start else seen.claims
            claims = {**claimed, **{who: one for who, one in self._known.items() if processes.ended(who) is False}}
            if not claims:
                break
            self._known.update(claims)
            ending = self._ending(seen, claims)
            outcomes = asyncio.run(ending.end(self._grace(ending, level)))
            self._done.update((who, one) for who, one in outcomes.items() if one.result is not Result.GONE)
            if not any(one.result in {Result.ENDED, Result.KILLED} for one in outcomes.values()):
                break
        self._tell(before)
        seen = survey(self._where, self._project)
        self._remove(seen)
        return self._is_gone()

    def tidy(self) -> None:
        """Only remove what it left: nobody is ended."""
        self._remove(survey(self._where, self._project))

    # -- steps -------------------------------------------------------------------------

    def _refuse_from_within(self, seen: Survey) -> None:
        """Whoever is ended with what it ends cannot see it through."""
        chain = processes.chain(os.getppid())
        for link in chain if not isinstance(chain, Unknown) else ():
            if (claim := seen.claims.get(link.id)) is not None:
                raise SentinelError(
                    f"this runs inside of the project itself (under process {link.id.pid}, {claim.facts.name}):"
                    " stop it from another terminal"
                )

    def _ending(self, seen: Survey, claims: dict[ProcessId, Claim]) -> Ending:
        listening = set(_pids_on_ports(seen))

        def overridden(claim: Claim) -> Collection[str]:
            consent = BY_STOPPING_ITS_OWN if claim.managed else BY_STOPPING
            in_the_way = not self._for_a_start or claim.facts.id.pid in listening
            return consent if in_the_way else consent - MEANT_TO_STAY

        ending = Ending(
            self._where,
            f"stop {self._project.name}",
            self._look_around,
            claims=claims,
            roots=[manager.facts.id for manager in seen.managers],
            servers=[server.facts.id for server in seen.servers],
            overridden=overridden,
            protected=self._project.wishes.protected,
        )
        if why := ending.forbidden():
            raise SentinelError(why)
        return ending

    def _grace(self, ending: Ending, level: Level) -> float:
        grace = ending.policy().of(Kind.OVERMIND, self._project.directory).grace
        return min(grace, _AGGRESSIVE_GRACE) if level is Level.AGGRESSIVE else grace

    def _tell(self, seen: Survey) -> None:
        """Say step by step what was ended, and who stays for which reason."""
        listening = set(_pids_on_ports(seen))
        ports = wording.ports(self._project.ports)
        steps = {_step(claim.facts, listening) for who, claim in self._known.items() if who in self._done}
        said = {
            Step.SERVERS: ("tmux server", "", "no tmux servers of its Overmind"),
            Step.PORTS: ("process", f" on {ports}", f"no processes on {ports}"),
            Step.OTHERS: ("other process", "", "no other processes of it"),
        }
        for step, (noun, where, nothing) in said.items():
            ended = [claim for claim in self._ended() if _step(claim.facts, listening) is step]
            if step is Step.PORTS and not ports:
                continue
            if ended:
                self._say(wording.ended(ended, noun, where))
            elif step not in steps:
                self._say(nothing)
        if isinstance(seen.ports, Unknown):
            self._say(str(seen.ports))
        for port, holder in seen.strangers.items():
            self._say(f"port {port} is held by {wording.holder(holder)}, which is not the project's: left alone")
        for who, one in self._done.items():
            if one.result in {Result.REFUSED, Result.SURVIVED, Result.HELD}:
                self._say(f"pid {who.pid} ({clean(self._known[who].facts.name)}) stays: {one.reason or one.result}")

    def _ended(self) -> list[Claim]:
        return [self._known[who] for who, one in self._done.items() if one.result in {Result.ENDED, Result.KILLED}]

    def _remove(self, seen: Survey) -> None:
        """Move the files out of the way that nobody holds any more.

        Raises:
            SentinelError: Nothing may be removed now.
        """
        told = os.path.relpath(self._project.socket, self._project.directory)
        sessions = list(self._leavings(seen))
        ending = self._ending(seen, {}) if seen.stale_socket or sessions else None
        if not seen.stale_socket:
            self._say(f"no stale socket at {told}")
        elif isinstance(seen.socket, SocketFacts) and not seen.socket.is_socket:
            self._put_aside(told)
        removed = self._quarantined(ending, sessions) if ending is not None else []
        for one in removed:
            self._say(f"{one.target}: {one.result}{f', {one.reason}' if one.reason else ''}")
        if not removed:
            self._say("no dead tmux sockets or script directories of it")

    def _put_aside(self, told: str) -> None:
        if put_empty_aside(self._project.socket, _NOT_A_SOCKET):
            self._say(f"{told} was an empty file, not a socket: it is called {told}{_NOT_A_SOCKET} now")
        else:
            self._say(f"{told} is a file, not a socket, and nobody knows whose: no Overmind can start until it is gone")

    def _leavings(self, seen: Survey) -> Iterator[Session]:
        """Sessions that have ended, with what each has left."""
        own = []
        if seen.stale_socket and isinstance(seen.socket, SocketFacts) and seen.socket.is_socket:
            own.append(SocketMark(seen.socket.path, seen.socket.device, seen.socket.inode))
        sockets = (*own, *seen.dead_sockets)
        if sockets:
            yield self._session(Belongings(sockets=sockets))
        for title in sorted(self._project.titles):
            directories = tuple(path for path in seen.directories if f"/overmind-{title}-" in path)
            if directories:
                root = os.path.dirname(directories[0])
                yield self._session(Belongings(directories=directories, title=title, script_root=root))

    def _session(self, had: Belongings) -> Session:
        # Born later than anything that lies there: what is not named here is judged to be somebody else's.
        later = time.time() + 60
        directory = self._project.directory
        return Session(Kind.OVERMIND, self._project.name, _NOBODY, directory=directory, born=later, belongings=had)

    def _quarantined(self, ending: Ending, sessions: Iterable[Session]) -> list[Outcome]:
        done: list[Outcome] = []
        for session in sessions:
            outcomes = tuple(ending.core.leftovers.remove(session, ending.policy()))
            ending.tell(session, outcomes)
            done += outcomes
        return done

    def _is_gone(self) -> bool:
        seen = survey(self._where, self._project)
        left = [claim.facts.id.pid for claim in seen.claims.values()]
        if left:
            self._say(f"still there: {count(len(left), 'process')} ({', '.join(map(str, left))})")
        return not left and not seen.stale_socket


def _step(facts: ProcessFacts, listening: set[int]) -> Step:
    if facts.name == TMUX_SERVER:
        return Step.SERVERS
    return Step.PORTS if facts.id.pid in listening else Step.OTHERS


def _in_the_way(seen: Survey) -> dict[ProcessId, Claim]:
    """What has a port of the project, stands over it or was born of that, with all that hangs under these."""
    listening = set(_pids_on_ports(seen))
    tops = {
        claim.top
        for claim in seen.claims.values()
        if (claim.managed and not claim.strayed) or claim.facts.name == TMUX_SERVER or claim.facts.id.pid in listening
    }
    return {who: claim for who, claim in seen.claims.items() if claim.top in tops}


def _pids_on_ports(seen: Survey) -> Iterator[int]:
    for held in seen.ports.values() if not isinstance(seen.ports, Unknown) else ():
        yield from (one.pid for one in held)
