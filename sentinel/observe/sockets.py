"""Unix sockets: who holds what, found out without a connection.

Whether a socket file is dead cannot be told by connecting: a full backlog and a socket
that is bound but not yet listening refuse too, and a stopped owner does not answer. The
kernel knows which inodes living sockets are bound to, so it is asked.

Elsewhere than on Linux nothing tells the inode of a bound socket: every question is
answered ``Unknown`` there, and what is unknown is never removed.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from sentinel.core.facts import Gone, SocketFacts, Unknown
from sentinel.core.sessions import SocketMark
from sentinel.observe.descriptors import descriptors
from sentinel.observe.sock_diag import ANY, LISTEN, UNIX_ANSWER, UNIX_REQUEST, attributes, dump

_SHOW_NAME_AND_FILE = 3  # UDIAG_SHOW_NAME | UDIAG_SHOW_VFS
_NAME, _FILE = 0, 1  # UNIX_DIAG_NAME, UNIX_DIAG_VFS
_LOW = 0xFFFFFFFF
"""The kernel tells the low 32 bits of an inode number. Two that share them are taken for
one, which can only spare."""
_ALL_UNIX = UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, ANY, 0, _SHOW_NAME_AND_FILE, ANY, ANY)
_INODE_DEVICE = struct.Struct("=II")
_COARSE = 0.1
"""Seconds that a file's time stamp may lag behind the clock (a timer tick, generously)."""


class BoundSocket(NamedTuple):
    """A living socket that is bound to a file."""

    device: int
    """Of the file system, like ``st_dev`` where the two agree (see ``_sits_on``)."""
    inode: int
    """Of the file, low 32 bits."""
    socket: int
    """Inode number of the socket itself: ``socket:[N]`` in /proc/PID/fd."""
    state: int
    name: str
    """The path as the owner wrote it in bind(2): relative to where it stood, and not
    followed by the kernel when the file moves."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Every bound socket of one moment. Accepted connections count: they share the inode."""

    by_inode: Mapping[int, tuple[BoundSocket, ...]]
    by_socket: Mapping[int, BoundSocket]
    taken: float
    """Wall-clock seconds, before the kernel was asked."""

    def holds(self, path: str, status: os.stat_result) -> bool | Unknown:
        """Whether a living socket is bound to the file that ``status`` is the lstat of."""
        answer: bool | Unknown = False
        for entry in self.by_inode.get(status.st_ino & _LOW, ()):
            sits = _sits_on(entry, path, status)
            if sits is True:
                return True
            answer = answer or sits
        return answer


def bound_inodes() -> Bound | Unknown:
    """Which files living sockets are bound to, in this network namespace."""
    question = "which sockets are bound"
    if sys.platform != "linux":
        return Unknown(question, "this system does not tell")
    taken = time.time()
    try:
        messages = dump(_ALL_UNIX)
    except OSError as error:
        return Unknown(question, str(error))
    by_inode: dict[int, tuple[BoundSocket, ...]] = {}
    by_socket: dict[int, BoundSocket] = {}
    for message in dict.fromkeys(messages):
        entry = _bound_socket(message)
        if entry is not None:
            by_socket[entry.socket] = entry
            by_inode[entry.inode] = (*by_inode.get(entry.inode, ()), entry)
    return Bound(by_inode, by_socket, taken)


def _bound_socket(message: bytes) -> BoundSocket | None:
    """One entry of a dump; None for a socket without a file."""
    _, _, state, _, number, _, _ = UNIX_ANSWER.unpack_from(message)
    inode = device = None
    name = b""
    for attribute, value in attributes(message, UNIX_ANSWER.size):
        if attribute == _FILE:
            inode, device = _INODE_DEVICE.unpack_from(value)
        elif attribute == _NAME:
            name = value.rstrip(b"\0")
    if inode is None or device is None:
        return None
    return BoundSocket(_st_dev(device), inode, number, state, os.fsdecode(name))


def _st_dev(device: int) -> int:
    """A device number as stat(2) shows it, from the kernel's own ``major << 20 | minor``."""
    return os.makedev(device >> 20, device & 0xFFFFF)


def _sits_on(entry: BoundSocket, path: str, status: os.stat_result) -> bool | Unknown:
    """Whether a socket is bound to this very file.

    stat(2) shows another device than the file system's own on btrfs and on an overlay of
    several file systems (seen: 0:41 for 0:40). There the mount table tells the real one.
    """
    if entry.inode != status.st_ino & _LOW:
        return False
    if entry.device == status.st_dev:
        return True
    device = _device_of_mount(path)
    return device if isinstance(device, Unknown) else entry.device == device


def _device_of_mount(path: str) -> int | Unknown:
    question = f"which file system {path} is on"
    if sys.platform != "linux":
        return Unknown(question, "this system does not tell")
    try:
        fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            about = _read(f"/proc/self/fdinfo/{fd}")
        finally:
            os.close(fd)
        mount = about.partition(b"mnt_id:")[2].split(None, 1)[0]
        for line in _read("/proc/self/mountinfo").splitlines():
            number, _, device, _ = line.split(b" ", 3)
            if number == mount:
                major, _, minor = device.partition(b":")
                return os.makedev(int(major), int(minor))
    except (OSError, ValueError, IndexError) as error:
        return Unknown(question, str(error))
    return Unknown(question, "the mount table does not have it")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def look_at_socket(path: str, bound: Bound | Unknown | None = None) -> SocketFacts | Gone | Unknown:
    """What is at ``path``. Follows no symlink in its last part and connects to nobody.

    ``bound`` saves asking the kernel again when many paths are looked at; it is not
    believed about a file that is younger than it.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Gone()
    except (OSError, ValueError) as error:
        return Unknown(f"what is at {path}", str(error))
    held: bool | Unknown = False
    if is_socket := stat.S_ISSOCK(status.st_mode):
        if bound is None or (isinstance(bound, Bound) and status.st_ctime + _COARSE >= bound.taken):
            bound = bound_inodes()
        held = bound if isinstance(bound, Unknown) else bound.holds(path, status)
    return SocketFacts(path, status.st_dev, status.st_ino, is_socket, status.st_uid, status.st_mtime, held)


@contextmanager
def address_of(path: str) -> Iterator[str]:
    """By what to connect to a socket: an address has room for 107 bytes, and /proc/self/fd makes a long path short.

    Raises:
        OSError: Its directory is not there, or may not be entered.
    """
    if sys.platform != "linux":
        yield path
        return
    directory, name = os.path.split(path)
    fd = os.open(directory or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def answers(path: str) -> bool | Unknown:
    """Whether somebody answers on a socket, in whatever network namespace: asked by a connection.

    The owner has to accept it, so this is only for sockets that are nobody's by every other sign.
    Nothing but a refusal says that nobody is there.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller, address_of(path) as address:
            caller.settimeout(0)
            caller.connect(address)
    except ConnectionRefusedError:
        return False
    except (OSError, ValueError) as error:
        return Unknown(f"whether somebody listens on {path}", str(error))
    return True


def listening_sockets_of(pid: int, bound: Bound | Unknown | None = None) -> list[SocketMark] | Unknown:
    """The socket files on which a process listens, as they are now.

    Only those whose file is where the process made it: one that was removed or replaced
    meanwhile is no mark by which to remove anything later.
    """
    entries = listeners_of(pid, bound)
    if isinstance(entries, Unknown):
        return entries
    marks = (mark_of(pid, entry) for entry in entries)
    return [mark for mark in marks if mark is not None]


def listeners_of(pid: int, bound: Bound | Unknown | None = None) -> list[BoundSocket] | Unknown:
    """The bound sockets on which a process listens, whatever became of their files."""
    if bound is None:
        bound = bound_inodes()
    if isinstance(bound, Unknown):
        return bound
    try:
        numbers = set(sockets_of(pid))
    except OSError as error:
        return Unknown(f"which sockets process {pid} has", str(error))
    entries = (bound.by_socket[number] for number in numbers if number in bound.by_socket)
    return sorted((entry for entry in entries if entry.state == LISTEN), key=lambda entry: entry.name)


def mark_of(pid: int, entry: BoundSocket) -> SocketMark | None:
    """The file of a process's socket with its path made absolute; None if it is not there any more."""
    try:
        base = "/" if entry.name.startswith("/") else os.readlink(f"/proc/{pid}/cwd")
        directory, _, name = os.path.join(base, entry.name).rpartition("/")
        path = os.path.join(os.path.realpath(directory or "/"), name)
        status = os.lstat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISSOCK(status.st_mode) or _sits_on(entry, path, status) is not True:
        return None
    return SocketMark(path, status.st_dev, status.st_ino)


def sockets_of(pid: int) -> Iterator[int]:
    """Inode numbers of the sockets that a process has open.

    Raises:
        OSError: It is gone, or not ours to look at.
    """
    for target in descriptors(f"/proc/{pid}").values():
        if target.startswith("socket:["):
            yield int(target[8:-1])
