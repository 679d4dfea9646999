"""Finds sessions that nobody registered, when they are born and when we start.

A session is recognised by what it runs or by what tmux calls itself, never by words in a
command line.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from sentinel.agents.recognise import Recognised
from sentinel.bus import Bus
from sentinel.core.events import (
    BORN,
    FOUND,
    ProcessExecuted,
    ProcessRenamed,
    SessionOpened,
    SourceDegraded,
)
from sentinel.core.facts import Above, ProcessFacts, ProcessId, Unknown
from sentinel.core.guards import TMUX_SERVER
from sentinel.core.ledger import Ledger, Member, Witness
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.handlers.bookkeeper import Bookkeeper
from sentinel.handlers.bound_sockets import BoundSockets
from sentinel.handlers.later import Later
from sentinel.handlers.openings import Openings
from sentinel.handlers.recognition import recognise_process
from sentinel.observe import overmind, processes, tmux
from sentinel.observe.handles import Handles

_SECOND_LOOKS = (0.05, 0.5, 3.0)
"""Seconds before each further look at what nobody could tell of."""
_NOHUP = "nohup"
_TMUX = "tmux"


class Discovery:
    """Has sessions opened for what it recognises."""

    def __init__(
        self,
        bus: Bus,
        *,
        ledger: Ledger,
        handles: Handles,
        bookkeeper: Bookkeeper,
        openings: Openings,
        later: Later,
    ) -> None:
        self._bus = bus
        self._ledger = ledger
        self._handles = handles
        self._bookkeeper = bookkeeper
        self._openings = openings
        self._later = later
        self._unwatched: dict[ProcessId, str] = {}
        """tmux servers that are no session since nobody can tell whose they are, and what was said of it."""
        self.sockets = BoundSockets(bus, ledger, later)
        openings.on_found = self.consider
        bus.subscribe(ProcessExecuted, lambda event: self.consider(event.pid, BORN))
        bus.subscribe(ProcessRenamed, lambda event: self.consider(event.pid, BORN))

    def consider(self, pid: int, how: str) -> None:
        """Open a session if ``pid`` is the root of one."""
        if (rooted := self._alive_at(pid)) is not None:
            if rooted.kind is Kind.PANE:
                self._replaced(rooted, how)
            return
        name = processes.comm(pid)
        told = bool(name) and self._recognise(pid, name, how)
        member = self._ledger.member(pid)
        if member is None and name and not told and self._openings.is_ours(pid):
            self._later(_SECOND_LOOKS[0], self._stranger_later, pid, _SECOND_LOOKS[1:])
        if told or member is None or self._handles.ended(member.id) is True:
            return
        self._ledger.doubt(member)
        if name:  # it may have been `nohup` for a moment: without its name the doubt stays
            self._later(_SECOND_LOOKS[0], self._recognise_later, member.id, _SECOND_LOOKS[1:])

    def _recognise_later(self, who: ProcessId, looks: tuple[float, ...]) -> None:
        if self._ledger.entry(who) is None:
            if who.start:  # it has ended; of one whose birth nobody could read that is not known
                self._ledger.trust(who)
            return
        name = processes.comm(who.pid)
        if name and self._recognise(who.pid, name, FOUND, last=not looks):
            if (session := self._ledger.rooted_at(who.pid)) is None or session.root != who:
                self._ledger.trust(who)  # of what a session bore and lost before it was known as one, the doubt stays
        elif looks:
            self._later(looks[0], self._recognise_later, who, looks[1:])

    def _stranger_later(self, pid: int, looks: tuple[float, ...]) -> None:
        """Look again at one that nobody owns, and that may be the root of a session all the same."""
        name = "" if pid in self._ledger else processes.comm(pid)
        if name and not self._recognise(pid, name, FOUND, last=not looks) and looks:
            self._later(looks[0], self._stranger_later, pid, looks[1:])

    def unwatched(self) -> str:
        """Which living tmux servers are no session since nobody can tell whose they are; empty for none."""
        for who in list(self._unwatched):
            link = processes.above(who.pid)
            if not isinstance(link, Above) or link.id != who or link.dead:
                del self._unwatched[who]
        return "; ".join(self._unwatched.values())

    def _recognise(self, pid: int, name: str, how: str, *, last: bool = False) -> bool:
        """Open a session if it is the root of one. False: nobody could tell.

        ``last``: nobody will look at it again, so it is told by what there is.
        """
        if name == _NOHUP:
            self._ledger.ran_nohup(pid)
            return True
        if name == TMUX_SERVER:
            return self._tmux_server(pid, how, last=last)
        found = recognise_process(pid, name, just_born=how == BORN)
        if isinstance(found, Unknown):
            return False
        if found is not None:
            return self._program(pid, found, how)
        member = self._ledger.member(pid)
        return member is None or self._pane(member, how, last=last)

    # -- the kinds: each says whether it could be told what it is ---------------------

    def _program(self, pid: int, found: Recognised, how: str) -> bool:
        who = self._openings.take(pid)
        if who is None:
            return False
        continues = self._continues(pid, found)
        session = _session(who, found) if continues is False else None
        if session is None:
            self._openings.let_go(who)
            return continues is True
        self._openings.open(session, how)
        if session.kind is Kind.OVERMIND:
            self.sockets.look_later(pid)
        return True

    def _replaced(self, pane: Session, how: str) -> None:
        """The shell of a pane made room for what it was asked to run: ``tmux new-window claude``."""
        found = recognise_process(pane.root.pid, processes.comm(pane.root.pid), just_born=how == BORN)
        session = _session(pane.root, found) if isinstance(found, Recognised) else None
        if session is None:
            return
        session = replace(
            session,
            outer=pane.outer,
            registered=pane.registered,
            forgotten=pane.forgotten,
            born=pane.born,
            sid=pane.sid,
            cgroup=pane.cgroup,
            scope=pane.scope,
            input=pane.input,
        )
        self._bus.publish(SessionOpened(self._ledger.become(pane.key, session), how))
        if session.kind is Kind.OVERMIND:
            self.sockets.look_later(session.root.pid)

    def _continues(self, pid: int, found: Recognised) -> bool | Unknown:
        """Whether it is part of a session of the same program.

        That is what a launcher launches directly, and a copy that some process of it made of
        itself and that has not replaced its program yet: a tool's shell about to be one.
        """
        facts = processes.look(pid)
        if not isinstance(facts, ProcessFacts):
            return facts if isinstance(facts, Unknown) else Unknown(f"what process {pid} is", "it has ended")
        if _is(self._alive_at(facts.parent), found):
            return True
        if (copy := processes.only_forked(pid)) is not True:
            # A copy that has replaced its program since it was recognised is what it runs now.
            same = copy is not False or recognise_process(pid, processes.comm(pid)) == found
            return copy if same else Unknown(f"what process {pid} runs", "it replaced its program just now")
        if found.kind is Kind.AGENT:
            return True  # whosever copy it is: what an agent forks of itself is no agent
        member = self._ledger.entry(facts.id)
        owner = self._ledger.record(member.owner) if member is not None else None
        return owner is not None and _is(owner.session, found)

    def _alive_at(self, pid: int) -> Session | None:
        """The living session whose root has this number: what a dead one left may outlast its number."""
        rooted = self._ledger.rooted_at(pid)
        return rooted if rooted is not None and self._handles.ended(rooted.root) is False else None

    def _tmux_server(self, pid: int, how: str, *, last: bool) -> bool:
        link = processes.above(pid)
        if not isinstance(link, Above):
            return False
        if processes.comm(link.parent) == TMUX_SERVER:
            return True  # a server's child that has not replaced its program yet has its name, and will be a pane
        who = self._openings.take(pid)
        if who is None:
            return False
        about = tmux.server_of(pid)
        if last and isinstance(about, Unknown):
            about = self._by_arguments(who, about)
        if isinstance(about, Unknown):  # it may be an Overmind's, whose panes are no sessions
            self._openings.let_go(who)
            return False
        self._unwatched.pop(who, None)
        member = self._ledger.entry(who)
        owner = self._ledger.record(member.owner) if member is not None else None
        if member is not None and owner is not None and owner.session.kind is Kind.OVERMIND and about.is_overminds:
            self._manage(member, owner.session, about)
        elif about.is_overminds:
            self._claim(who, about, how, _SECOND_LOOKS)
        else:
            self._open_server(who, about, how)
        return True

    def _by_arguments(self, who: ProcessId, why: Unknown) -> tmux.TmuxServer | Unknown:
        """What a server is whose sockets nobody could tell for long: where that is refused, nobody ever will.

        One that may be an Overmind's stays unknown, and that is said.
        """
        about = tmux.server_by_arguments(who.pid)
        if isinstance(about, tmux.TmuxServer) and not about.is_overminds:
            return about
        if who not in self._unwatched:
            said = f"tmux server {who.pid} may be an Overmind's, and nothing is cleaned up in it: {why}"
            self._unwatched[who] = said
            self._bus.publish(SourceDegraded("the discovery of tmux servers", said))
        return why

    def _open_server(self, who: ProcessId, about: tmux.TmuxServer, how: str) -> None:
        belongings = Belongings((about.socket,) if about.socket else ())
        member = self._ledger.entry(who)
        looked_at = list(member.children) if member is not None else []
        self._openings.open(Session(Kind.TMUX, os.path.basename(about.label), who, belongings=belongings), how)
        for pid in looked_at:  # a pane among them was no server's child yet when it ran its program
            self.consider(pid, FOUND)
        self.sockets.look_later(who.pid)

    def _manage(self, server: Member, session: Session, about: tmux.TmuxServer) -> None:
        self._ledger.manages(server)
        self.sockets.add_server(session, about)
        self.sockets.look_later(server.id.pid)

    def _claim(self, who: ProcessId, about: tmux.TmuxServer, how: str, looks: tuple[float, ...]) -> None:
        """Find the Overmind of a tmux server whose birth was not seen under it.

        The server left its parent at once, but the client that started it stays Overmind's
        child, and names the server by the same 21 random characters. Until one is found the
        server is nobody's; when none is, it is a tmux server like any other.
        """
        if self._handles.ended(who) is not False or self._ledger.member(who.pid) is not None:
            self._openings.let_go(who)
            return
        if not looks:
            self._find_overmind(about.label)
        if (client := self._client_of(about.label)) is not None:
            server = self._bookkeeper.enter(who, client.id.pid, time.monotonic(), Witness.CLIENT)
            owner = self._ledger.record(client.owner)
            if server is not None and owner is not None:
                self._manage(server, owner.session, about)
                self._openings.put_around(owner.session, who)
                self._openings.adopt_below(who.pid)
        elif looks:
            self._later(looks[0], self._claim, who, about, how, looks[1:])
        else:
            self._open_server(who, about, how)

    def _client_of(self, label: str) -> Member | None:
        """The tmux client of a living Overmind that speaks to the server of this label."""
        for record in self._ledger.sessions():
            if record.session.kind is not Kind.OVERMIND or record.death is not None:
                continue
            for member in self._ledger.members(record.session.key):
                if member.parent == record.session.root.pid and overmind.label_of_client(member.id.pid) == label:
                    return member
        return None

    def _find_overmind(self, label: str) -> None:
        """Consider whoever bore such a client: a copy that Overmind made of itself is seen by nobody who saw no exec.

        Its server would else be taken for a person's, and what daemonises in a pane there for
        what that pane leaves behind.
        """
        everyone = processes.everyone()
        for pid in everyone if not isinstance(everyone, Unknown) else ():
            if not processes.comm(pid).startswith(_TMUX) or not self._openings.is_ours(pid):
                continue
            if overmind.label_of_client(pid) == label:
                client = processes.above(pid)
                if isinstance(client, Above):
                    self.consider(client.parent, FOUND)

    def _pane(self, member: Member, how: str, *, last: bool) -> bool:
        """A tmux server's child with a terminal and a session of its own is a pane."""
        server = self._ledger.rooted_at(member.parent)
        if server is None or server.kind is not Kind.TMUX or member.owner != server.key:
            return True
        facts = processes.look(member.id.pid)
        if not isinstance(facts, ProcessFacts) or facts.id != member.id:
            return False
        if facts.session != facts.id.pid or not facts.terminal:
            return True
        pane = processes.environment(facts.id.pid, "TMUX_PANE")
        if isinstance(pane, Unknown) and not last:  # its shell is about to be what the pane was asked to run
            return False
        name = pane if isinstance(pane, str) and pane else "%?"
        self._openings.open(
            Session(Kind.PANE, name, member.id, directory=processes.working_directory(facts.id.pid)), how
        )
        return True


def _is(session: Session | None, found: Recognised) -> bool:
    """Whether a session is of the program that was recognised."""
    if session is None or session.kind is not found.kind:
        return False
    return found.kind is Kind.OVERMIND or session.name == found.name


def _session(root: ProcessId, found: Recognised) -> Session | None:
    """The session of a recognised program; None when an Overmind cannot be described."""
    if found.kind is Kind.AGENT:
        return Session(Kind.AGENT, found.name, root, directory=processes.working_directory(root.pid))
    about = overmind.describe(root.pid)
    if isinstance(about, Unknown):
        return None
    belongings = Belongings((SocketMark(about.socket_path),), (), about.title, about.script_root)
    return Session(Kind.OVERMIND, about.title, root, directory=about.directory, belongings=belongings)
