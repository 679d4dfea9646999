"""Socket files of tmux servers and Overminds that have ended, also of those that nobody watched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sentinel.core.facts import ProcessId, SocketFacts
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.handlers.dead_sockets import FRESH, deserted
from sentinel.observe import sockets, tmux
from sentinel.observe.files import names_in
from sentinel.observe.sockets import Bound
from sentinel.reaper.quarantine import moment
from sentinel.reaper.returns import Returned, returned

_OVERMINDS = ".overmind.sock"
_NOBODY_KNOWS = ProcessId(0, 0)
"""Who made a socket that nobody watched being made."""


def stale_sockets(uid: int, directories: Iterable[str], quarantine: Path, older_than: float = 0.0) -> list[Session]:
    """Sessions that have ended and left a socket: each has the one that is stale among its belongings.

    Looked at are tmux's own directory, and ``.overmind.sock`` in the others.

    Args:
        uid: Whose files.
        directories: Where an Overmind may have worked.
        quarantine: Tells what a person has put back: that is not offered.
        older_than: Seconds since the socket was made.
    """
    bound = sockets.bound_inodes()
    if not isinstance(bound, Bound):
        return []
    age = max(older_than, FRESH)
    put_back = returned(quarantine, moment())
    return [session for session in _places(directories, bound) if _is_stale(session, uid, bound, put_back, age)]


def _is_stale(session: Session, uid: int, bound: Bound, put_back: Returned, age: float) -> bool:
    (mark,) = session.belongings.sockets
    found = deserted(mark.path, uid, bound, put_back, age)
    return found is not None and (found.device, found.inode) == (mark.device, mark.inode)


def _places(directories: Iterable[str], bound: Bound) -> Iterator[Session]:
    of_tmux = tmux.socket_directory()
    names = names_in(of_tmux)
    for name in names if isinstance(names, list) else ():
        if (mark := _mark(os.path.join(of_tmux, name), bound)) is not None:
            yield Session(Kind.TMUX, name, _NOBODY_KNOWS, belongings=Belongings(sockets=(mark,)))
    for directory in sorted({os.path.realpath(directory) for directory in directories if directory}):
        if (mark := _mark(os.path.join(directory, _OVERMINDS), bound)) is not None:
            belongings = Belongings(sockets=(mark,))
            name = os.path.basename(directory)
            yield Session(Kind.OVERMIND, name, _NOBODY_KNOWS, directory=directory, belongings=belongings)


def _mark(path: str, bound: Bound) -> SocketMark | None:
    """What is there now: what is judged and removed later is that, or nothing."""
    facts = sockets.look_at_socket(path, bound)
    if not isinstance(facts, SocketFacts) or not facts.is_socket:
        return None
    return SocketMark(path, facts.device, facts.inode)
