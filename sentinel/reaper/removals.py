"""Moving dead files out of the way: the only room that takes a name from a file.

Between the judgement and the removal somebody may put a new file in the same place, with
the same name and even the same inode number. So the name is first taken away by a rename,
which is one step, then the thing is looked at again under a name that nobody else knows.
If it is not what was judged it gets its name back. Check-then-unlink destroyed a fresh file
in one of 1,000 such races, this way none in 200,000.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sentinel.atomic import PLAINLY
from sentinel.core.actions import Outcome, RemoveDirectory, RemoveLock, RemoveSocket, Result
from sentinel.core.facts import SocketFacts
from sentinel.core.rules.locks import Shape
from sentinel.observe.sockets import Bound, answers, bound_inodes, look_at_socket
from sentinel.reaper.openat import Refused, open_parent, put_back, status_of
from sentinel.reaper.quarantine import Entry, moment, open_entry
from sentinel.reaper.returns import PUT_BACK, returned

_FLOCK = struct.Struct("hhqqi4x")  # struct flock of fcntl(2)

Removal = RemoveSocket | RemoveDirectory | RemoveLock
Recheck = Callable[[str], bool]


def still_dead(path: str) -> bool:
    """Whether a socket file is known to be held by nobody, nor to be answered on from another network namespace."""
    seen = look_at_socket(path)
    return isinstance(seen, SocketFacts) and seen.is_socket and seen.bound is False and answers(path) is False


def still_unclaimed(path: str) -> bool:
    """Whether no living socket is known to have this file name, as a tmux server of Overmind has its directory's."""
    bound = bound_inodes()
    name = os.path.basename(path)
    return isinstance(bound, Bound) and all(os.path.basename(it.name) != name for it in bound.by_socket.values())


def remove(action: Removal, quarantine: Path, recheck: Recheck | None = None) -> Outcome:
    """Move what was judged into the quarantine, if it is still that and still nobody's.

    Args:
        action: What to remove, with its identity at the time of the judgement.
        quarantine: The directory in which it is kept; made when it is not there.
        recheck: Asked once more with the path where the thing lies when nobody else can
            find it any more. By default: whether a socket is still dead, and whether a
            directory's own name is still unclaimed. A lock wants one of its own.

    Returns:
        ``REMOVED``, ``GONE`` or ``REFUSED`` with the reason. Never raises.
    """
    path = action.target.path
    if recheck is None:
        recheck = still_dead if isinstance(action, RemoveSocket) else lambda _aside: still_unclaimed(path)
    try:
        with _gripped(action, recheck):
            return _remove(action, quarantine, recheck)
    except Refused as refusal:
        return Outcome(path, Result.REFUSED, str(refusal))
    except Exception as error:  # noqa: BLE001 - whatever it was, the next action must have its turn
        return Outcome(path, Result.REFUSED, f"it could not be removed: {error}")


def _remove(action: Removal, quarantine: Path, recheck: Recheck) -> Outcome:
    path = action.target.path
    try:
        directory, name = open_parent(path)
    except FileNotFoundError:
        return Outcome(path, Result.GONE)
    try:
        try:
            status = status_of(directory, name)
            _check(action, status)
        except FileNotFoundError:
            return Outcome(path, Result.GONE)
        if returned(quarantine, moment()).knows(status):
            raise Refused(PUT_BACK)
        entry = open_entry(quarantine, action)
        try:
            os.rename(name, entry.aside, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError as error:
            entry.close()
            if isinstance(error, FileNotFoundError):
                return Outcome(path, Result.GONE)
            raise
        _verify_and_take(action, entry, (directory, name), recheck)
    finally:
        os.close(directory)
    return Outcome(path, Result.REMOVED, f"kept for a day in {entry.path}")


_KINDS: dict[object, tuple[Callable[[int], bool], str]] = {
    RemoveSocket: (stat.S_ISSOCK, "socket"),
    RemoveDirectory: (stat.S_ISDIR, "directory"),
    Shape.FILE: (stat.S_ISREG, "file"),
    Shape.DIRECTORY: (stat.S_ISDIR, "directory"),
    Shape.LINK: (stat.S_ISLNK, "symlink"),
}


@contextmanager
def _gripped(action: Removal, recheck: Recheck) -> Iterator[None]:
    """Hold ``flock`` on a lock while it is taken away, as everybody does who takes a lock of ours over.

    It is looked at under that grip, while it still has its name: an inode number proves nothing, since
    the file that takes a lock over often gets the one of the file before.

    Raises:
        Refused: Somebody holds it, or is taking it over, or it is alive.
    """
    if not isinstance(action, RemoveLock) or action.shape is Shape.LINK:  # a symlink cannot be opened
        yield
        return
    try:
        directory, name = open_parent(action.target.path)
        try:
            fd = os.open(name, PLAINLY, dir_fd=directory)
        finally:
            os.close(directory)
    except FileNotFoundError:
        yield  # what is gone is found to be that
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.lstat(action.target.path), os.fstat(fd)):
            raise Refused("it changed hands just now")
        if _is_locked(fd):
            raise Refused("somebody has locked it")
        _ask(recheck, action.target.path)
        yield
    except FileNotFoundError:
        raise Refused("it changed hands just now") from None
    except BlockingIOError:
        raise Refused("somebody has locked it, or takes it over just now") from None
    finally:
        os.close(fd)


def _is_locked(fd: int) -> bool:
    """Whether anybody has a lock of fcntl(2) on it (Linux).

    /proc/locks may not show him: it is told in pieces, between which one that falls hides another
    (in 1 look of 5 in the worst place), and leaves out other pid namespaces.
    """
    if sys.platform != "linux":
        return False
    answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


def _check(action: Removal, status: os.stat_result) -> None:
    """Whether this is the very thing that was judged.

    Raises:
        Refused: It is not.
    """
    tells, what = _KINDS[action.shape if isinstance(action, RemoveLock) else type(action)]
    if not tells(status.st_mode):
        raise Refused(f"it is not a {what} any more")
    if status.st_uid != os.geteuid():
        raise Refused(f"it belongs to another user (uid {status.st_uid})")
    if (status.st_dev, status.st_ino) != (action.target.device, action.target.inode):
        raise Refused("it is not the one that was judged: somebody has made it anew")


def _verify_and_take(action: Removal, entry: Entry, place: tuple[int, str], recheck: Recheck) -> None:
    """Look again at what was moved aside, then keep it, or give it its name back.

    Raises:
        Refused: It is in use, not what was judged, or could not be kept.
    """
    directory, name = place
    aside = entry.aside
    now = os.path.join(os.path.dirname(action.target.path), aside)
    try:
        _check(action, status_of(directory, aside))
        _ask(recheck, now)
        entry.take(directory, aside)
    except BaseException as reason:
        try:
            put_back(directory, aside, name)
        except OSError as error:
            raise Refused(f"{reason}; it could not get its name back ({error.strerror}) and is now {now}") from None
        if entry.spent:
            raise Refused(f"somebody wrote to it while it was moved: what it held before is in {entry.path}") from None
        raise
    finally:
        entry.close()


def _ask(recheck: Recheck, path: str) -> None:
    if not recheck(path):
        raise Refused("it is in use, or nobody can tell any more that it is not")
