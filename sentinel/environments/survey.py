"""One look at a project: who stands over it, what is its, who has its ports, which files are left.

Nothing is asked of Overmind or tmux, which may never answer: the kernel tells all of it.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator

from sentinel import ledgerfile
from sentinel.agents.recognise import recognise
from sentinel.core.candidates import Mark
from sentinel.core.facts import Above, Departure, DirectoryFacts, Gone, ProcessFacts, ProcessId, SocketFacts, Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.ledger import Ledger
from sentinel.core.rules.directories import INSTANCE
from sentinel.core.rules.projects import Seen, claims, inside
from sentinel.core.sessions import Kind, Session, SocketMark
from sentinel.doctor.sightings import Look
from sentinel.environments import notes
from sentinel.environments.project import Project, innermost
from sentinel.environments.scene import OVERMIND, Claim, Holder, Manager, Server, Survey
from sentinel.environments.timelimit import at_most
from sentinel.errors import ConfigError
from sentinel.observe import overmind, processes, sockets, tmux
from sentinel.observe.files import names_in
from sentinel.observe.marks import marks_of
from sentinel.observe.ports import listeners, ports_of
from sentinel.observe.sockets import Bound
from sentinel.paths import Paths

_FRESH = 2.0
"""Seconds. A younger directory may be an Overmind's that is just starting."""

_LONGEST = 3.0
"""Seconds for the search for what is the project's: its patterns are somebody else's."""


def survey(where: Paths, project: Project) -> Survey:
    """Look at a project.

    Raises:
        SentinelError: Nobody can see which processes there are, or its patterns take too long.
    """
    return _Surveyor(where, project).survey()


class _Surveyor:
    def __init__(self, where: Paths, project: Project) -> None:
        self._where = where
        self._project = project
        self._look = Look(os.getuid(), Ledger())
        self._bound = sockets.bound_inodes()
        self._listening = listeners()
        pids = list(self._look.everyone)
        held = ports_of(pids, self._listening)
        self._ports = held if isinstance(held, dict) else {}
        self._started = notes.read(where, project).started
        self._claims: dict[ProcessId, Claim] = {}
        self._places: dict[int, str] = {}

    def survey(self) -> Survey:
        managers = tuple(self._managers())
        servers = tuple(self._servers({one.label for one in managers if one.label}))
        for manager in managers:
            self._take(manager.facts, (f"it is the project's {manager.kind}",), managed=True)
        for server in servers:
            if server.managed:
                self._take(
                    server.facts, (f"it is the tmux server of the project's Overmind: {server.label}",), managed=True
                )
        self._from_the_ledger({one.facts.id for one in managers})
        self._claim_by_grounds()
        return Survey(
            self._project,
            self._started,
            managers,
            servers,
            self._claims,
            self._holders(),
            sockets.look_at_socket(self._project.socket, self._bound),
            dead := tuple(self._dead_sockets()),
            tuple(self._directories({os.path.basename(mark.path) for mark in dead})),
        )

    # -- who stands over it ------------------------------------------------------------

    def _managers(self) -> Iterator[Manager]:
        root = notes.root_of(self._started)
        for pid, facts in self._look.everyone.items():
            if self._started is not None and facts.id == root and self._started.manager != OVERMIND:
                yield Manager(self._started.manager, facts)
            elif self._is_overmind(facts):
                marks = sockets.listening_sockets_of(pid, self._bound)
                path = marks[0].path if isinstance(marks, list) and marks else ""
                yield Manager(OVERMIND, facts, path, self._label(pid))

    def _is_overmind(self, facts: ProcessFacts) -> bool:
        """Whether it is an Overmind that works for the project. What it forks of itself is none."""
        pid = facts.id.pid
        if not inside(self._place(pid), self._project.directory) or facts.name.startswith("tmux"):
            return False
        program = processes.program(pid)
        if isinstance(program, Unknown):
            return False
        found = recognise(*program, facts.name)
        if found is None or found.kind is not Kind.OVERMIND or self._runs_same(facts.parent, program):
            return False
        about = overmind.describe(pid)
        if isinstance(about, Unknown):
            return False
        return about.directory == self._project.directory or about.socket_path == self._project.socket

    def _runs_same(self, pid: int, program: tuple[str, tuple[str, ...]]) -> bool:
        return pid in self._look.everyone and processes.program(pid) == program

    def _label(self, pid: int) -> str:
        """The name of the tmux server with which an Overmind speaks, by the client that is its child."""
        for below in self._look.below(pid)[1:]:
            if below.name.startswith("tmux") and (label := overmind.label_of_client(below.id.pid)):
                return label
        return ""

    def _servers(self, managed: set[str]) -> Iterator[Server]:
        for pid, facts in self._look.everyone.items():
            if facts.name != TMUX_SERVER:
                continue
            about = tmux.server_of(pid, self._bound)
            if isinstance(about, Unknown):
                continue
            known = about.label in managed
            if known or claims(self._see(facts, about.label), self._project.grounds):
                yield Server(facts, about.label, about.socket, known)

    # -- what is its -------------------------------------------------------------------

    def _claim_by_grounds(self) -> None:
        grounds = self._project.grounds
        seen = [(facts, self._see(facts)) for facts in self._look.everyone.values() if facts.id not in self._claims]
        # Only the search is bounded: on a busy machine the look may take as long, and that is no file's fault.
        with at_most(_LONGEST, ConfigError(f"{self._project.file}: to look for its patterns takes too long")):
            found = [(facts, one, why) for facts, one in seen if (why := claims(one, grounds))]
        for facts, one, why in found:
            if facts.id not in self._claims:
                self._take(self._top(facts) if one.ports else facts, why, managed=False)

    def _take(self, top: ProcessFacts, said: tuple[str, ...], *, managed: bool, strayed: bool = False) -> None:
        """Claim a process, and all that hangs under it."""
        for facts in self._look.below(top.id.pid):
            if facts.id not in self._claims:
                below = (f"it hangs under process {facts.parent}, which is the project's",)
                why = said if facts.id == top.id else below
                self._claims[facts.id] = Claim(facts, why, managed, top.id.pid, strayed)

    def _from_the_ledger(self, roots: set[ProcessId]) -> None:
        """Claim what the agent saw being born in the project's sessions, also in those that have ended."""
        try:
            saved = ledgerfile.read(self._where.ledger, processes.boot_id())
        except ledgerfile.Unusable:
            return
        for one in saved:
            if one.session.root not in roots and not self._was_its(one.session):
                continue
            for member in one.members:
                facts = self._look.everyone.get(member.id.pid)
                if facts is not None and facts.id == member.id:
                    strayed = self._strayed(member.left, facts)
                    said = (f"{one.session.title} bore it: {member.witness}",)
                    self._take(facts, said, managed=True, strayed=strayed)

    def _strayed(self, left: Departure | None, facts: ProcessFacts) -> bool:
        """Whether it may have left on purpose. The ledger was saved some seconds ago: it may have left since."""
        if left is not None:
            return left.clean is not False
        return self._look.is_lost(facts)

    def _was_its(self, session: Session) -> bool:
        if session.directory != self._project.directory:
            return False
        return session.kind is Kind.OVERMIND or (session.kind is Kind.RUN and session.name == self._project.name)

    def _see(self, facts: ProcessFacts, label: str = "") -> Seen:
        pid = facts.id.pid
        place = self._place(pid)
        if not inside(place, self._project.directory):
            return Seen(facts, place, "")
        if facts.name == TMUX_SERVER and not label:
            about = tmux.server_of(pid, self._bound)
            label = "" if isinstance(about, Unknown) else about.label
        lost = "its parent has ended" if self._look.is_lost(facts) else ""
        return Seen(
            facts,
            place,
            innermost(place, self._project.directory),
            command=_command(pid),
            ports=tuple(self._ports.get(pid, ())),
            lost=lost,
            label=label,
            ended=tuple(_ended(marks_of(pid), facts.id)) if lost else (),
        )

    def _top(self, facts: ProcessFacts) -> ProcessFacts:
        """The topmost process above a listener that was left behind with it, and works for the project too.

        Whoever gave it a session (setsid(2)) of its own is not claimed: an editor that left its parent does so
        for each of its terminals, and a terminal emulator for each window.
        """
        top = facts
        while not self._look.is_lost(top):
            above = self._look.everyone.get(top.parent)
            if above is None or above.name == TMUX_SERVER or above.session != facts.session:
                return facts
            if not inside(self._place(above.id.pid), self._project.directory):
                return facts
            top = above
        return top

    def _place(self, pid: int) -> str:
        if pid not in self._places:
            self._places[pid] = processes.working_directory(pid)
        return self._places[pid]

    # -- ports and files ---------------------------------------------------------------

    def _holders(self) -> dict[int, tuple[Holder, ...]] | Unknown:
        if isinstance(self._listening, Unknown):
            return self._listening
        ours = {who.pid for who in self._claims}
        found: dict[int, tuple[Holder, ...]] = {}
        for port in self._project.ports:
            pids = [pid for pid, ports in self._ports.items() if port in ports]
            hidden = {one.uid for one in self._listening.values() if one.port == port}
            hidden -= {os.getuid()} if pids else set()
            found[port] = (*(self._holder(pid, ours=pid in ours) for pid in pids), *map(Holder, sorted(hidden)))
        return found

    def _holder(self, pid: int, *, ours: bool) -> Holder:
        return Holder(os.getuid(), pid, self._look.everyone[pid].name, self._place(pid), ours)

    def _dead_sockets(self) -> Iterator[SocketMark]:
        if not isinstance(self._bound, Bound):
            return
        directory = tmux.socket_directory()
        names = names_in(directory)
        for name in names if isinstance(names, list) else ():
            if self._is_instance(name):
                facts = sockets.look_at_socket(os.path.join(directory, name), self._bound)
                if isinstance(facts, SocketFacts) and facts.is_socket and facts.bound is False:
                    yield SocketMark(facts.path, facts.device, facts.inode)

    def _directories(self, dead: set[str]) -> Iterator[str]:
        """Those that no living tmux server has the name of. ``dead`` are names of servers known to have ended."""
        if not isinstance(self._bound, Bound):
            return
        living = {os.path.basename(entry.name) for entry in self._bound.by_socket.values()}
        root = os.path.realpath(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - where Overmind writes
        for title in sorted(self._project.titles):
            found = overmind.script_directories(title, root)
            for facts in found if isinstance(found, list) else ():
                name = os.path.basename(facts.path)
                if name not in living and _is_a_directory_of_ours(facts) and (name in dead or _is_old(facts)):
                    yield facts.path

    def _is_instance(self, name: str) -> bool:
        found = INSTANCE.fullmatch(name)
        return found is not None and found["title"] in self._project.titles


def _is_a_directory_of_ours(facts: DirectoryFacts) -> bool:
    return stat.S_ISDIR(facts.mode) and facts.uid == os.getuid()


def _is_old(facts: DirectoryFacts) -> bool:
    return time.time() - facts.modified > _FRESH


def _command(pid: int) -> str:
    program = processes.program(pid)
    return "" if isinstance(program, Unknown) else " ".join(program[1])


def _ended(marks: tuple[Mark, ...] | Unknown, who: ProcessId) -> Iterator[Mark]:
    """Those that name a process which has ended."""
    for mark in marks if isinstance(marks, tuple) else ():
        if not mark.pid or mark.pid == who.pid:
            continue
        match processes.above(mark.pid):
            case Gone():
                yield mark
            case Above() as holder if holder.dead or holder.id.start > who.start:
                yield mark
