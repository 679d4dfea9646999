"""The last resort against what forks faster than it can be looked at: the kernel kills a whole control group.

Only a group that a ``sentinel run`` made for its command, named with its identity. What
stands in there descends from that command, whoever else was moved there by hand is not in
the ledger. One that is spared spares them all. The kernel kills whoever is there by then, so a
look that is too old is made anew, at all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from sentinel.core.actions import KillGroup, Outcome, Result
from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.core.scopes import is_of
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Condemned, Spared
from sentinel.errors import JournalUnwritable
from sentinel.journal import Journal
from sentinel.observe import cgroups, processes
from sentinel.reaper.signals import Rejudge
from sentinel.reaper.staleness import Glimpse

_TIRELESS = "it goes on forking after the grace, faster than it can be looked at"

_CHANGED = "its control group was about to be killed, and now somebody in it is spared, or nobody is left"


def end(
    session: Session,
    look_again: Callable[[], Rejudge],
    *,
    held: Callable[[], str],
    journal: Journal,
    cause: int,
) -> tuple[tuple[Outcome, ...], int]:
    """Kill whoever is in the group of a dead run, if each of them is condemned, without mercy, or gone by now.

    Args:
        session: The dead session.
        look_again: Begins a new look: whoever was found in the group before is known by then.
        held: Why nothing may be ended now; empty when it may. Asked last: perhaps nobody could be judged.
        journal: Where the intent goes first.
        cause: ``seq`` of what led to it.

    Returns:
        What became of those that were seen, and ``seq`` of the intent; nothing and 0 when nothing was done.
    """
    group = _open(session)
    if group is None:
        return (), 0
    intent, looked = 0, Glimpse()
    try:
        if (condemned := _look(session.scope, look_again)) is None:
            return (), 0
        intent = journal.intend(KillGroup(session, session.scope, (_TIRELESS,)), cause)
        if looked.is_stale and (condemned := _look(session.scope, look_again)) is None:
            return (Outcome(session.scope, Result.REFUSED, _CHANGED),), intent
        if why := held():
            return (Outcome(session.scope, Result.HELD, why),), intent
        _kill(group)
    except (OSError, JournalUnwritable) as error:
        return (Outcome(session.scope, Result.REFUSED, f"its control group was not killed: {error}"),), intent
    finally:
        os.close(group)
    return _killed(session.scope, condemned), intent


def remove(wrapper: ProcessId, path: str) -> None:
    """Take an empty group away. One that is none of ours, or where somebody lives, stays."""
    directory = cgroups.directory_of(path)
    if directory is not None and is_of(wrapper, path):
        with suppress(OSError):
            os.rmdir(directory)


def _open(session: Session) -> int | None:
    """The group's directory, if that is the one which this very run made."""
    directory = cgroups.directory_of(session.scope)
    if session.kind is not Kind.RUN or directory is None or not is_of(session.root, session.scope):
        return None
    try:
        group = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    if os.fstat(group).st_uid != os.geteuid():
        os.close(group)
        return None
    return group


def _kill(group: int) -> None:
    with open(os.open("cgroup.kill", os.O_WRONLY | os.O_CLOEXEC, dir_fd=group), "w", encoding="ascii") as file:
        file.write("1")


def _killed(scope: str, seen: list[Condemned]) -> tuple[Outcome, ...]:
    each = tuple(Outcome(str(who.id), Result.KILLED, "with its control group", who.facts.name) for who in seen)
    return each or (Outcome(scope, Result.KILLED, _TIRELESS),)


def _look(scope: str, look_again: Callable[[], Rejudge]) -> list[Condemned] | None:
    """Who is in the group; None when nobody is, or one of them may not be killed."""
    found = cgroups.processes_in(scope)
    return _judge(found, look_again()) if isinstance(found, list) and found else None


def _judge(pids: list[int], rejudge: Rejudge) -> list[Condemned] | None:
    """Those that are still there; None when one of them may not be killed."""
    condemned: list[Condemned] = []
    for pid in pids:
        who = processes.identify(pid)
        if isinstance(who, Gone):
            continue
        verdict = rejudge(who) if not isinstance(who, Unknown) else None
        if verdict is None or isinstance(verdict, Spared):
            return None
        if isinstance(verdict, Condemned):
            if verdict.no_kill:
                return None
            condemned.append(verdict)
    return condemned
