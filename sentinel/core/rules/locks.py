"""When a lock is stale, and which locks are never removed.

A lock is stale when its holder is proven to have ended, at whatever age, and never for any
other reason. The rules below speak for a lock, one after the other; the first that does keeps
it. docs/rules.md has them beside the list of files that are never removed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sentinel.core.facts import Gone, Unknown
from sentinel.core.verdicts import FileVerdict, Kept, Stale

FRESH = 2.0
"""Seconds. Whoever makes a lock may still be writing who he is."""


class LockKind(StrEnum):
    """How a lock says who holds it."""

    OURS = "sentinel"
    """A file of ``sentinel.locks``: the whole identity."""
    DIRECTORY = "directory"
    """``mkdir``, with the holder's number in a file inside."""
    PID_FILE = "pid file"
    AGENT = "session file"
    """A coding agent's ``PID.json``, with its start time."""
    LINK = "symlink"
    """Chrome's ``SingletonLock``, which leads to ``HOST-PID``."""
    GIT = "git index"
    """Names nobody; git keeps it open."""
    ADVISORY = "flock"
    """Is locked by the kernel or is not; that it exists says nothing."""
    DATABASE = "database"
    """Taking it away stops a running server."""


class Shape(StrEnum):
    """What is at the path."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "symlink"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class LockFacts:
    """A lock, as one look saw it."""

    path: str
    kind: LockKind
    shape: Shape
    device: int
    inode: int
    uid: int
    modified: int
    """When it was written: wall-clock nanoseconds since the epoch."""
    age: float
    """Seconds since then."""
    holder: str
    """Who holds it, as a noun phrase; empty when it does not say."""
    ended: bool | Unknown
    """Whether its holder has ended; True is a proof that its number belongs to nobody else."""
    local: bool
    """It is known that the holder's number is one of this machine and of this pid namespace:
    the lock says so, or somebody saw the holder live."""
    users: tuple[str, ...] | Unknown = ()
    """Who has it open or locked, a noun phrase each. The caller is not among them."""
    others: tuple[str, ...] = ()
    """What a lock directory holds besides the word on its holder."""
    workers: tuple[str, ...] | Unknown = ()
    """Of git's lock: the git processes that work in its tree."""


def _elsewhere(facts: LockFacts, _: int) -> str:
    if isinstance(facts.ended, Unknown):
        return str(facts.ended)
    if facts.ended and not facts.local:
        return f"nobody saw {facts.holder} live here: its number may be one of a container or of another machine"
    return ""


def _unfinished(facts: LockFacts, _: int) -> str:
    if not facts.holder:
        return str(facts.ended) if isinstance(facts.ended, Unknown) else "it does not say who holds it"
    return f"it was written less than {FRESH:g} s ago" if facts.age < FRESH else ""


def _in_use(facts: LockFacts, _: int) -> str:
    if isinstance(facts.users, Unknown):
        return str(facts.users)
    return f"it is in use: held by {facts.users[0]}" if facts.users else ""


def _git_works(facts: LockFacts, _: int) -> str:
    if isinstance(facts.workers, Unknown):
        return str(facts.workers)
    return f"git works in this tree: {facts.workers[0]}" if facts.workers else ""


def _more_than_a_lock(facts: LockFacts, _: int) -> str:
    return f"the directory holds more than a lock: {facts.others[0]}" if facts.others else ""


def _advisory(facts: LockFacts, _: int) -> str:
    return "the kernel locks it: the file itself is never stale" if facts.kind is LockKind.ADVISORY else ""


def _database(facts: LockFacts, _: int) -> str:
    return "a running database stops when it is taken away" if facts.kind is LockKind.DATABASE else ""


def _no_lock(facts: LockFacts, _: int) -> str:
    return "it is not a file, a directory or a symlink" if facts.shape is Shape.OTHER else ""


def _other_user(facts: LockFacts, uid: int) -> str:
    return f"it belongs to another user (uid {facts.uid})" if facts.uid != uid else ""


def _held(facts: LockFacts, _: int) -> str:
    return f"it is held by {facts.holder}" if facts.ended is False else ""


RULES: tuple[tuple[str, Callable[[LockFacts, int], str]], ...] = (
    ("not-a-lock", _no_lock),
    ("other-user", _other_user),
    ("advisory", _advisory),
    ("database", _database),
    ("unfinished", _unfinished),
    ("held", _held),
    ("elsewhere", _elsewhere),
    ("in-use", _in_use),
    ("git", _git_works),
    ("more", _more_than_a_lock),
)
"""Who keeps a lock, in the order in which they are asked."""


class Standing(StrEnum):
    """What somebody is told who asks for a lock."""

    FREE = "free"
    STALE = "stale"
    """Its holder has ended: whoever wants it may take it over."""
    HELD = "held"
    UNKNOWN = "unknown"


def standing(facts: LockFacts | Gone | Unknown) -> tuple[Standing, str]:
    """How a lock stands, and the sentence that says why. Removes nothing, so it asks for less."""
    match facts:
        case Gone():
            return Standing.FREE, "nothing is there"
        case Unknown():
            return Standing.UNKNOWN, str(facts)
    if isinstance(facts.users, Unknown):
        return Standing.UNKNOWN, str(facts.users)
    if facts.users:
        return Standing.HELD, f"held by {facts.users[0]}"
    if facts.kind is LockKind.ADVISORY:
        return Standing.FREE, "nobody has locked it"
    if isinstance(facts.ended, Unknown):
        return Standing.UNKNOWN, str(facts.ended)
    if facts.ended:
        return Standing.STALE, f"its holder, {facts.holder}, has ended"
    return Standing.HELD, f"held by {facts.holder}"


def judge_lock(facts: LockFacts | Gone | Unknown, *, path: str, uid: int) -> FileVerdict | None:
    """Decide about a lock. None: there is none.

    Args:
        facts: What is at the path.
        path: Where it is.
        uid: Whose it must be.
    """
    match facts:
        case Gone():
            return None
        case Unknown():
            return Kept(path, "unknown", str(facts))
    for name, speaks in RULES:
        if reason := speaks(facts, uid):
            return Kept(path, name, reason)
    return Stale(path, facts.device, facts.inode, (f"its holder, {facts.holder}, has ended", "nobody has it open"))
