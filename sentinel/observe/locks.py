"""Who uses a lock file now: what the kernel says of it, whatever the file says."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator

from sentinel.core.facts import Above, ProcessId, Unknown
from sentinel.core.sanitise import clean
from sentinel.observe import processes
from sentinel.observe.age import age
from sentinel.observe.descriptors import descriptors

_LOCKS = "/proc/locks"
_INODE_FIELD, _PID_FIELD = 5, 4


def is_thread(pid: int) -> bool:
    """Whether a number is that of a thread which is not the first of its process.

    Such a number answers ``kill(2)`` and has its files in /proc, but is no process: whoever had
    it as a process has ended.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            status = file.read(4096)
        start = status.index(b"\nTgid:\t") + 7
        return int(status[start : status.index(b"\n", start)]) != pid
    except (OSError, ValueError):
        return False


def locked_by(inode: int) -> tuple[int, ...] | Unknown:
    """Who locked a file with flock(2) or fcntl(2): numbers of processes that may have ended since.

    Any file of that inode number counts, on whatever device: btrfs and overlayfs give
    /proc/locks another device than stat(2).
    """
    try:
        with open(_LOCKS, "rb") as file:
            lines = file.read().splitlines()
    except OSError as error:
        return Unknown("who has locked it", error.strerror or str(error))
    found: list[int] = []
    for line in lines:
        fields = line.replace(b" -> ", b" ").split()
        if len(fields) > _INODE_FIELD and fields[_INODE_FIELD].rpartition(b":")[2] == b"%d" % inode:
            found.append(int(fields[_PID_FIELD]))
    return tuple(dict.fromkeys(found))


def opened_by(path: str, device: int, inode: int, uid: int, program: str = "") -> tuple[int, ...]:
    """Processes of ``uid`` but the caller that have a file open, under the name that it has now.

    Of one that lets nobody look at its files, as ssh-agent does, nothing is known. Only those
    whose name begins with ``program`` are asked.
    """
    name = os.path.basename(path)
    asked = [pid for pid in _pids_of(uid) if pid != os.getpid() and processes.comm(pid).startswith(program)]
    return tuple(pid for pid in asked if _has_open(pid, name, (device, inode)))


def users(path: str, device: int, inode: int, uid: int) -> tuple[str, ...] | Unknown:
    """Who has a file open or locked, a noun phrase each; the caller is left out."""
    locking = locked_by(inode)
    if isinstance(locking, Unknown):
        return locking
    opening = opened_by(path, device, inode, uid)
    # The kernel names the process that took the lock. Its child may hold it by now, and is found by its descriptor.
    named = opening or tuple(pid for pid in locking if pid != os.getpid())
    return tuple(name_of(pid) for pid in named)


def at_work(program: str, directory: str, uid: int) -> tuple[int, ...]:
    """Processes of ``uid`` whose name begins with ``program`` and that work in ``directory`` or below."""
    inside = directory.rstrip("/") + "/"
    found = [pid for pid in _pids_of(uid) if processes.comm(pid).startswith(program)]
    return tuple(pid for pid in found if f"{processes.working_directory(pid)}/".startswith(inside))


def outermost(pids: Collection[int]) -> tuple[int, ...]:
    """Those that no other one of them bore."""
    links = [link for pid in pids if isinstance(link := processes.above(pid), Above) and not link.dead]
    return tuple(link.id.pid for link in links if link.parent not in pids)


def began(who: ProcessId) -> float:
    """When a process began: wall-clock seconds since the epoch, a hundredth too early at most."""
    return time.time() - age(who)


def name_of(pid: int) -> str:
    """A process as a noun phrase."""
    return f"{clean(processes.comm(pid)) or 'a process'} (pid {pid})" if pid > 0 else "a process that is not to be seen"


def _pids_of(uid: int) -> list[int]:
    everyone = processes.everyone()
    return [pid for pid in everyone if processes.owner(pid) == uid] if isinstance(everyone, list) else []


def _has_open(pid: int, name: str, identity: tuple[int, int]) -> bool:
    """Whether one of the descriptors leads there. Only those of that name are asked: another may hang for ever."""
    for process in _views(pid):
        try:
            opened = descriptors(process)
        except OSError:
            continue  # its first thread may have ended before the others, and /proc shows no more through it
        links = (f"{process}/fd/{number}" for number, where in opened.items() if os.path.basename(where) == name)
        return any(_leads_to(link, identity) for link in links)
    return False


def _views(pid: int) -> Iterator[str]:
    """Directories in /proc by which a process can be looked into: its own, and those of its other threads."""
    yield f"/proc/{pid}"
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    yield from (f"/proc/{pid}/task/{thread}" for thread in threads if thread != str(pid))


def _leads_to(link: str, identity: tuple[int, int]) -> bool:
    try:
        status = os.stat(link)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == identity
