"""What the registry asks about processes before it believes anybody."""

from __future__ import annotations

import os

from sentinel.core.facts import Above, Gone, ProcessId, Unknown
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.observe import processes
from sentinel.registry.entries import Entry, Place
from sentinel.registry.standing import is_within_sight


def ours(pid: int) -> ProcessId:
    """The identity of a living process of this user.

    Raises:
        NoSuchThing: There is none of that number, or nobody can tell.
        SentinelError: It is another user's.
    """
    now = processes.above(pid) if pid > 1 else Gone()
    if isinstance(now, Unknown):
        raise NoSuchThing(str(now))
    if isinstance(now, Gone) or now.dead:
        raise NoSuchThing(f"there is no process {pid}")
    if (owner := processes.owner(pid)) != os.geteuid():
        raise SentinelError(f"process {pid} belongs to another user (uid {owner})")
    return now.id


def hangs_under(pid: int, root: ProcessId) -> bool:
    """Whether a process is that very root, or hangs under it now."""
    chain = processes.chain(pid)
    return not isinstance(chain, Unknown) and any(link.id == root for link in chain)


def line(pid: int) -> list[ProcessId]:
    """A process and those it hangs under, from below; empty when there is no such process.

    Raises:
        NoSuchThing: Nobody can tell.
    """
    chain = processes.chain(pid)
    if isinstance(chain, Unknown):
        raise NoSuchThing(f"there is no process {pid}" if _is_gone(pid) else str(chain))
    return [link.id for link in chain]


def why_over(entry: Entry, here: Place) -> str:
    """Why an active session must have ended, by what can be seen from ``here``; empty when it may live."""
    if not is_within_sight(entry, here):
        return ""
    if entry.place.boot != here.boot:
        return "the machine was started anew"
    return "its process has ended" if processes.ended(entry.root) is True else ""


def _is_gone(pid: int) -> bool:
    now = processes.above(pid)
    return isinstance(now, Gone) or (isinstance(now, Above) and now.dead)
