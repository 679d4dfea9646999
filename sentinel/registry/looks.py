"""What the registry asks about processes before it believes anybody."""

from __future__ import annotations

import os

from sentinel.core.facts import Above, Gone, ProcessFacts, ProcessId, Unknown
from sentinel.errors import NoSuchThing, SentinelError
from sentinel.observe import processes
from sentinel.registry.entries import Entry, Place
from sentinel.registry.standing import is_within_sight

_MANAGER = "systemd"
"""What the user's service manager is called: a subreaper, and often above nobody who asks."""


def ours(pid: int) -> ProcessId:
    """The identity of a living process of this user.

    Raises:
        NoSuchThing: There is none of that number, or nobody can tell.
        SentinelError: It is another user's.
    """
    if pid == 1:
        raise NoSuchThing("process 1 is nobody's: those fall to it that have lost their parent")
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


def works_for_another(pid: int, root: ProcessId) -> str:
    """Why a process that does not hang under ``root`` is no work of it; empty when it may be.

    A number that a script has written down may be somebody else's by now. Whatever loses its
    parent falls to pid 1, or to a subreaper that is above (PR_SET_CHILD_SUBREAPER(2const)): any other living
    parent has borne it. Which of those above are subreapers the kernel does not tell; but who is in one's own
    session (setsid(2)) is one's own child.
    """
    facts = processes.look(pid)
    if not isinstance(facts, ProcessFacts):
        return f"nobody can tell who bore process {pid}"
    if facts.id.start < root.start:
        return f"process {pid} is older than the session"
    if facts.parent <= 1:
        return ""
    bearer, chain = processes.look(facts.parent), processes.chain(root.pid)
    if isinstance(bearer, ProcessFacts) and not isinstance(chain, Unknown):
        is_manager = bearer.name == _MANAGER and bearer.parent == 1
        if is_manager or (bearer.session != facts.session and any(link.id == bearer.id for link in chain)):
            return ""
        return f"process {pid} is the work of process {facts.parent}, which lives and is not of the session"
    return f"nobody can tell who bore process {pid}"


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
