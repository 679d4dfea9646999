"""The kinds of locks that there are: how each is recognised, who holds it, and how it is taken away."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from sentinel.atomic import PLAINLY
from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.core.rules.locks import LockFacts, LockKind, Shape
from sentinel.locks.holder import Holder, decode
from sentinel.observe import locks, processes

_LARGEST = 4096
_MOST_PID = 2**31 - 1
_WHO = "who holds it"
_HOST_AND_PID = re.compile(r"(?P<host>.+)-(?P<pid>\d{1,10})")
_ROUNDING = 0.02
"""Seconds: start times come in hundredths."""
_PID_FILES = ("pid", ".pid")
"""Where scripts write the number of the holder, in a directory that is a lock."""

Finder = Callable[[str, os.stat_result], Holder | Unknown]


class _AgentFile(msgspec.Struct):
    """What Claude Code keeps of each session in ``~/.claude/sessions/PID.json``; seen in 2.1."""

    pid: int
    procStart: str | int | None = None  # noqa: N815 - its name
    """Field 22 of /proc/PID/stat."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table."""

    name: LockKind
    paths: tuple[str, ...]
    """Patterns, for the end of the path; any ``*`` stays within one part. Empty: whatever names a holder."""
    shape: Shape
    holder: Finder

    def fits(self, path: str, status: os.stat_result) -> bool:
        """Whether something is of this kind."""
        if self.shape is not shape_of(status):
            return False
        return _is_named(path, self.paths) if self.paths else isinstance(self.holder(path, status), Holder)


def _of_our_own(path: str, _: os.stat_result) -> Holder | Unknown:
    content = _content(path)
    return content if isinstance(content, Unknown) else decode(content) or Unknown(_WHO, "its content is not a lock's")


def _by_number(path: str, _: os.stat_result) -> Holder | Unknown:
    content = _content(path)
    return content if isinstance(content, Unknown) else _number(content)


def _in_directory(path: str, _: os.stat_result) -> Holder | Unknown:
    for name in _PID_FILES:
        content = _content(os.path.join(path, name))
        if not isinstance(content, Unknown):
            return _number(content)
    return Unknown(_WHO, "the directory holds no readable file pid")


def _by_link(path: str, _: os.stat_result) -> Holder | Unknown:
    try:
        found = _HOST_AND_PID.fullmatch(os.readlink(path))
    except OSError as error:
        return Unknown(_WHO, error.strerror or str(error))
    if found is None or int(found["pid"]) > _MOST_PID:
        return Unknown(_WHO, "it does not lead to HOST-PID")
    return Holder(int(found["pid"]), 0, host=found["host"])


def _by_session(path: str, _: os.stat_result) -> Holder | Unknown:
    content = _content(path)
    if isinstance(content, Unknown):
        return content
    try:
        it = msgspec.json.decode(content, type=_AgentFile)
        start = int(it.procStart or 0)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        return Unknown(_WHO, "its content is not a session's")
    return Holder(it.pid, start)


def _by_git(path: str, status: os.stat_result) -> Holder | Unknown:
    """Git has its lock open only while it writes, and holds it on while its hooks run (seen in 2.39).

    So it is who has it open, else the one git that works in the tree, if that began before the lock.
    """
    opening = locks.opened_by(path, status.st_dev, status.st_ino, status.st_uid, program="git")
    working = locks.outermost(opening or locks.at_work("git", _tree(path), status.st_uid))
    if len(working) != 1:
        return Unknown(_WHO, f"{len(working) or 'no'} gits work in its tree")
    try:
        holder = Holder.of(working[0])
    except ProcessLookupError as error:
        return Unknown(_WHO, str(error))
    if locks.began(ProcessId(holder.pid, holder.start)) > status.st_mtime + _ROUNDING:
        return Unknown(_WHO, "the git that works in its tree began after it")
    return holder


def _by_nobody(_path: str, _: os.stat_result) -> Holder | Unknown:
    return Unknown(_WHO, "it does not say")


KINDS: tuple[Kind, ...] = (
    Kind(
        LockKind.DATABASE,
        ("postmaster.pid", "mysqld.pid", "mariadb.pid", "mongod.lock", "redis.pid", "redis-server.pid"),
        Shape.FILE,
        _by_nobody,
    ),
    Kind(
        LockKind.ADVISORY,
        (".next/dev/lock", ".package-cache", "flintlock", "dpkg/lock*", "apt/lists/lock", "apt/archives/lock"),
        Shape.FILE,
        _by_nobody,
    ),
    Kind(LockKind.GIT, (".git/index.lock", ".git/worktrees/*/index.lock"), Shape.FILE, _by_git),
    Kind(LockKind.LINK, ("SingletonLock",), Shape.LINK, _by_link),
    Kind(LockKind.AGENT, (".claude/sessions/*.json",), Shape.FILE, _by_session),
    Kind(LockKind.DIRECTORY, ("*",), Shape.DIRECTORY, _in_directory),
    Kind(LockKind.OURS, (), Shape.FILE, _of_our_own),
    Kind(LockKind.PID_FILE, (), Shape.FILE, _by_number),
)
"""The first that fits is it. What fits none is no lock, and nobody's to remove."""


def recognise(path: str, status: os.stat_result) -> Kind | None:
    """What kind of lock something is."""
    return next((kind for kind in KINDS if kind.fits(path, status)), None)


def look(path: str, kind: Kind | None = None, *, witnessed: Holder | None = None) -> LockFacts | Gone | Unknown:
    """What is known of the lock at a path.

    Args:
        path: Where it is.
        kind: Of which kind it was; by default that is found out.
        witnessed: Its holder, whom somebody has seen living in this namespace. Only a lock that
            still names that one is his, unless whoever has his number now may have written it; of
            git's, who names nobody, any.
    """
    try:
        status = os.lstat(path)
        kind = kind or recognise(path, status)
    except (FileNotFoundError, NotADirectoryError):
        return Gone()
    except (OSError, ValueError) as error:
        return Unknown(f"what is at {path}", str(error))
    if kind is None:
        return Unknown(f"what kind of lock {path} is", "it names no process")
    holder = kind.holder(path, status)
    his = witnessed is not None and _is_his(holder, witnessed, kind)
    if witnessed is not None and his and not _is_of_the_next(path, status, holder, witnessed):
        holder = witnessed
    return LockFacts(
        path,
        kind.name,
        shape_of(status),
        status.st_dev,
        status.st_ino,
        status.st_uid,
        status.st_mtime_ns,
        max(0.0, time.time() - status.st_mtime),
        "" if isinstance(holder, Unknown) else str(holder),
        holder if isinstance(holder, Unknown) else holder.ended(),
        not isinstance(holder, Unknown) and (holder is witnessed or holder.is_local()),
        _users(path, kind, status),
        _others(path, status),
        _workers(path, kind, status),
    )


def shape_of(status: os.stat_result) -> Shape:
    """What a status says that it is of."""
    for tells, shape in (
        (stat.S_ISREG, Shape.FILE),
        (stat.S_ISDIR, Shape.DIRECTORY),
        (stat.S_ISLNK, Shape.LINK),
    ):
        if tells(status.st_mode):
            return shape
    return Shape.OTHER


def _is_his(holder: Holder | Unknown, witnessed: Holder, kind: Kind) -> bool:
    if isinstance(holder, Unknown):
        return kind.name is LockKind.GIT
    return holder.pid == witnessed.pid and holder.start in {0, witnessed.start}


def _is_of_the_next(path: str, status: os.stat_result, holder: Holder | Unknown, witnessed: Holder) -> bool:
    """Whether a lock that names a number only may be of the process that has the number by now."""
    if isinstance(holder, Unknown) or holder.start:
        return False
    now = processes.identify(holder.pid)
    if not isinstance(now, ProcessId):
        return isinstance(now, Unknown)
    return now.start != witnessed.start and locks.began(now) <= _written(path, status) + _ROUNDING


def _written(path: str, status: os.stat_result) -> float:
    """When it was written at the latest, in wall-clock seconds: another number in it makes no other directory."""
    times = [status.st_mtime]
    for name in _PID_FILES if stat.S_ISDIR(status.st_mode) else ():
        with suppress(OSError):
            times.append(os.lstat(os.path.join(path, name)).st_mtime)
    return max(times)


def _users(path: str, kind: Kind, status: os.stat_result) -> tuple[str, ...] | Unknown:
    if kind.name in {LockKind.LINK, LockKind.OURS}:
        return ()  # nobody can have a symlink open; who opens one of ours looks at it, and locks it to take it
    return locks.users(path, status.st_dev, status.st_ino, status.st_uid)


def _others(path: str, status: os.stat_result) -> tuple[str, ...]:
    if not stat.S_ISDIR(status.st_mode):
        return ()
    try:
        return tuple(name for name in sorted(os.listdir(path)) if name not in _PID_FILES)
    except OSError as error:
        return (error.strerror or str(error),)


def _workers(path: str, kind: Kind, status: os.stat_result) -> tuple[str, ...]:
    if kind.name is not LockKind.GIT:
        return ()
    return tuple(locks.name_of(pid) for pid in locks.at_work("git", _tree(path), status.st_uid))


def _tree(path: str) -> str:
    """The work tree of git's lock. Of a further one that is the first one's, which is asked for in vain."""
    return path.partition("/.git/")[0]


def _is_named(path: str, patterns: tuple[str, ...]) -> bool:
    parts = path.split("/")
    for pattern in patterns:
        wanted = pattern.split("/")
        if len(wanted) < len(parts) and all(map(fnmatch.fnmatchcase, parts[-len(wanted) :], wanted)):
            return True
    return False


def _content(path: str) -> bytes | Unknown:
    try:
        fd = os.open(path, PLAINLY)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return Unknown(_WHO, "it is not a plain file")
            return os.pread(fd, _LARGEST, 0)
        finally:
            os.close(fd)
    except OSError as error:
        return Unknown(_WHO, f"it cannot be read ({error.strerror})")


def _number(content: bytes) -> Holder | Unknown:
    """The first line, as daemons write it; some write more below."""
    first = content.split(b"\n", 1)[0].strip()
    if first.isdigit() and len(first) <= len(str(_MOST_PID)) and 0 < int(first) <= _MOST_PID:
        return Holder(int(first), 0)
    return Unknown(_WHO, "it holds no number" if first else "it is empty")
