"""The files that a dead session left: looked at, judged, moved out of the way."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from sentinel.core.actions import Outcome, RemoveDirectory, RemoveSocket, Result
from sentinel.core.facts import SocketFacts, Unknown
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.core.rules.directories import judge_directory, slug
from sentinel.core.rules.sockets import judge_socket
from sentinel.core.sentences import how_it_died
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import FileVerdict, Kept, Stale
from sentinel.errors import JournalUnwritable
from sentinel.journal import Journal
from sentinel.observe import overmind, sockets
from sentinel.reaper import removals, returns
from sentinel.reaper.quarantine import moment

_SLACK = 2.0
"""Seconds: file times are wall-clock, coarse, and written a little before and after."""


class Leftovers:
    """Removes stale sockets and script directories of dead sessions."""

    def __init__(self, ledger: Ledger, journal: Journal, quarantine: Path, uid: int) -> None:
        self._ledger = ledger
        self._journal = journal
        self._quarantine = quarantine
        self._uid = uid

    def verdicts(self, session: Session) -> list[FileVerdict]:
        """Judge every file that the dead session owns or may have left."""
        return list(self._but_returned([*self._sockets(session), *self._directories(session)]))

    def remove(self, session: Session, policy: Policy, tried: Collection[str] = ()) -> list[Outcome]:
        """Judge now, move what is stale into quarantine, and say why the rest stays.

        What was ``tried`` in vain is not tried again.
        """
        if not policy.acts or not (session.belongings.sockets or session.belongings.title):
            return []
        # One kind after the other: a directory is judged by the sockets that are there then.
        outcomes = [
            self._perform(RemoveSocket(session, verdict)) if isinstance(verdict, Stale) else _kept(verdict)
            for verdict in self._but_returned(list(self._sockets(session)))
            if verdict.path not in tried
        ]
        found = list(self._directories(session))
        for verdict in self._but_returned([one for one in found if one.path not in tried]):
            if isinstance(verdict, Stale):
                outcomes.append(self._perform(RemoveDirectory(session, verdict)))
            elif verdict.path in session.belongings.directories:
                outcomes.append(_kept(verdict))
        return outcomes

    def _perform(self, action: RemoveSocket | RemoveDirectory) -> Outcome:
        try:
            self._journal.intend(action)
            self._journal.sync()  # a file outlives a power cut: so must the word of where it went
        except JournalUnwritable as error:
            reason = f"nothing is removed that cannot be recorded: {error}"
            return Outcome(action.target.path, Result.REFUSED, reason)
        return removals.remove(action, self._quarantine)

    def _but_returned(self, verdicts: Iterable[FileVerdict]) -> Iterator[FileVerdict]:
        """What a person has put back stays."""
        put_back = returns.returned(self._quarantine, moment())
        for verdict in verdicts:
            stays = isinstance(verdict, Stale) and verdict.path in put_back
            yield Kept(verdict.path, "returned", returns.PUT_BACK) if stays else verdict

    def _owner(self, session: Session) -> str:
        record = self._ledger.record(session.key)
        died = how_it_died(record.death) if record is not None and record.death is not None else "ended"
        return f"made by {session.title}, which {died}"

    def _sockets(self, session: Session) -> Iterator[FileVerdict]:
        for mark in session.belongings.sockets:
            facts = sockets.look_at_socket(mark.path)
            if isinstance(facts, SocketFacts) and facts.is_socket and facts.bound is False:
                # A container may hold it, whose sockets this network namespace does not show: also one that
                # has the inode which was seen, since a file system gives that of a removed file to the next.
                facts = replace(facts, bound=sockets.answers(mark.path))
            verdict = judge_socket(mark, facts, self._uid, self._owner(session))
            if verdict is not None:
                yield verdict

    def _directories(self, session: Session) -> Iterator[FileVerdict]:
        """Judge Overmind's script directories.

        Those named like its tmux servers are its own; of the others, one that it made at a
        start which failed was written in its lifetime.
        """
        had = session.belongings
        if not had.title:
            return
        found = overmind.script_directories(had.title, had.script_root)
        living = self._living_names(session)
        latest = time.time() + _SLACK
        lifetime = (session.born - _SLACK, min(latest, self._end_of(session)))
        rivals = self._rivals(session)
        for facts in found if isinstance(found, list) else ():
            own = facts.path in had.directories
            verdict = judge_directory(
                facts,
                path=facts.path,
                uid=self._uid,
                lifetime=lifetime if not own else (0.0, latest),
                living=living,
                rivals=rivals and not own,
                owner=self._owner(session),
            )
            if verdict is not None:
                yield verdict

    def _end_of(self, session: Session) -> float:
        """When it died, in wall-clock seconds: what was written later is the next one's, which nobody may know yet."""
        record = self._ledger.record(session.key)
        if record is None or record.death is None:
            return math.inf
        return time.time() - (time.monotonic() - record.death.at)

    def _living_names(self, session: Session) -> frozenset[str] | Unknown:
        """The instance names of living tmux servers: those of their sockets, and of the servers that are known.

        A server has its name a moment before it binds its socket.
        """
        bound = _bound_names()
        if isinstance(bound, Unknown):
            return bound
        others = (record.session for record in self._ledger.sessions() if record.death is None)
        known = (path for other in others if other.key != session.key for path in other.belongings.directories)
        return bound.union(path.rpartition("/")[2] for path in known)

    def _rivals(self, session: Session) -> bool:
        """Whether another Overmind may have made directories of the same title.

        Each makes one; so one whose own is known is no rival. Whoever holds this very socket
        and is not known yet is one: it may be what this session's root became when it went
        into the background.
        """
        had = session.belongings
        others = [
            record.session.belongings
            for record in self._ledger.sessions()
            if record.death is None
            and record.session.kind is Kind.OVERMIND
            and slug(record.session.belongings.title) == slug(had.title)
        ]
        known = {mark.path for other in others for mark in other.sockets}
        held = {verdict.path for verdict in self._sockets(session) if isinstance(verdict, Kept)}
        return any(not other.directories for other in others) or not held <= known


def _kept(verdict: Kept) -> Outcome:
    return Outcome(verdict.path, Result.KEPT, verdict.reason)


def _bound_names() -> frozenset[str] | Unknown:
    """The file names of all bound sockets: a living tmux server's is its instance's name."""
    bound = sockets.bound_inodes()
    if isinstance(bound, Unknown):
        return bound
    return frozenset(entry.name.rpartition("/")[2] for entry in bound.by_socket.values())
