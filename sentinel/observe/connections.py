"""Who is at the other ends of sockets, asked of the kernel: no connection is ever made.

For one look at the processes of one dead session. *Inside* are the sockets that those
processes hold; whatever else is at the other end of one of them is alive and has nothing to
do with the session.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from sentinel.observe.sock_diag import (
    ANY,
    INET_REQUEST,
    LISTEN,
    NUMBER,
    UNIX_ANSWER,
    UNIX_REQUEST,
    SockDiag,
    attributes,
)

_ESTABLISHED, _SYN_SENT, _SYN_RECV = 1, 2, 3  # include/net/tcp_states.h, used for unix sockets too
_OPEN = 0xFFF & ~(1 << 6 | 1 << 7)  # all states but TIME_WAIT and CLOSE
_NAME, _PEER, _WAITING = 0, 2, 3  # UNIX_DIAG_NAME, UNIX_DIAG_PEER, UNIX_DIAG_ICONS
_SHOW = 0x1 | 0x4 | 0x8  # UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS
_INET_ANSWER = struct.Struct("=BB2x2s2s16s16s28xI")  # struct inet_diag_msg, what is wanted of it
_MAPPED = b"\0" * 10 + b"\xff\xff"
_DISPLAYS = ("/tmp/.X11-unix/", "/.X11-unix/")  # noqa: S108 - it is X that puts them there
_FORWARDED_DISPLAYS = range(6000, 6100)
"""TCP ports of X servers, among them what ``ssh -X`` listens on."""


class UnixEnd(NamedTuple):
    """A unix socket, and who is at its other end."""

    state: int
    name: bytes
    """What it is bound to. An accepted one has the name of its listener; who calls has none."""
    peer: int
    """Inode of the socket at the other end; 0 when there is none any more."""
    waiting: tuple[int, ...]
    """Inodes of those who have called a listener and were not answered yet."""


class Place(NamedTuple):
    """An end of a TCP connection."""

    address: bytes
    """Four bytes or sixteen; an IPv4 address in IPv6's clothes has four."""
    port: int

    def __str__(self) -> str:
        family = socket.AF_INET if len(self.address) == 4 else socket.AF_INET6  # noqa: PLR2004 - of IPv4
        address = socket.inet_ntop(family, self.address)
        return f"{address}:{self.port}" if family == socket.AF_INET else f"[{address}]:{self.port}"

    @property
    def local(self) -> bool:
        """Whether it is a loopback address: the other end is on this machine."""
        if len(self.address) == 4:  # noqa: PLR2004 - of IPv4
            return self.address[0] == 127  # noqa: PLR2004 - 127.0.0.0/8
        return self.address == b"\0" * 15 + b"\1"


class Tcp(NamedTuple):
    """A TCP socket of this network namespace."""

    state: int
    here: Place
    there: Place
    inode: int
    """0 while it is nobody's: not accepted yet, or closed and not told so yet."""


@dataclass(slots=True)
class TcpTable:
    """All of them, of one moment."""

    by_inode: dict[int, Tcp] = field(default_factory=dict)
    by_ends: dict[tuple[Place, Place], Tcp] = field(default_factory=dict)

    def add(self, entry: Tcp) -> None:
        """Take one in."""
        if entry.inode:
            self.by_inode[entry.inode] = entry
        if entry.state != LISTEN:
            self.by_ends[entry.here, entry.there] = entry

    def ports(self, inodes: Collection[int]) -> set[int]:
        """On which ports these sockets listen."""
        found = (self.by_inode.get(inode) for inode in inodes)
        return {entry.here.port for entry in found if entry is not None and entry.state == LISTEN}

    def callers(self, ports: Collection[int]) -> Iterator[tuple[Tcp, Tcp | None]]:
        """Each connection to one of these ports: our end of it, and the other one if that is on this machine."""
        for entry in self.by_ends.values():
            if entry.here.port in ports:
                yield entry, self.by_ends.get((entry.there, entry.here))

    def alive(self, entry: Tcp, other: Tcp | None, inside: Collection[int]) -> bool:
        """Whether somebody from outside is at the other end of a connection."""
        if other is not None:
            return other.inode != 0 and other.inode not in inside
        # Not of this network namespace: another machine, a container. It has not said that it is through.
        return entry.state in (_ESTABLISHED, _SYN_RECV)

    def knocking(self, ports: Collection[int], inside: Collection[int]) -> Iterator[Tcp]:
        """Those of this machine who call one of these ports and find its queue full."""
        for entry in self.by_ends.values():
            calls = entry.state == _SYN_SENT and entry.there.port in ports and entry.there.local
            if calls and entry.inode and entry.inode not in inside:
                yield entry


class Connections:
    """Answers about the sockets of one look. What was asked once is not asked again.

    Each question raises ``OSError`` when the kernel does not answer.
    """

    def __init__(self) -> None:
        self._line: SockDiag | None = None
        self._unix: dict[int, UnixEnd | None] = {}
        self._tcp: TcpTable | None = None

    def close(self) -> None:
        """Let go of what it takes to ask."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def forget(self) -> None:
        """Ask anew from now on."""
        self._unix.clear()
        self._tcp = None

    @contextmanager
    def _asking(self) -> Iterator[SockDiag]:
        """A line to the kernel. After a question that failed, what is left of its answer would be the next one's."""
        if self._line is None:
            self._line = SockDiag()
        try:
            yield self._line
        except OSError:
            self.close()
            raise

    def unix(self, inode: int) -> UnixEnd | None:
        """The unix socket of that inode; None when it is of another family or another network namespace."""
        if inode not in self._unix:
            request = UNIX_REQUEST.pack(socket.AF_UNIX, 0, 0, ANY, inode, _SHOW, ANY, ANY)
            with self._asking() as line:
                message = line.one(request)
            self._unix[inode] = _unix_end(message) if message is not None else None
        return self._unix[inode]

    def tcp(self) -> TcpTable:
        """Every TCP socket of this network namespace."""
        if self._tcp is None:
            table = TcpTable()
            for family in (socket.AF_INET, socket.AF_INET6):
                request = INET_REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, _OPEN)
                with self._asking() as line:
                    messages = line.dump(request)
                for message in messages:
                    table.add(_tcp(message))
            self._tcp = table
        return self._tcp

    # -- what is asked of them ---------------------------------------------------------

    def clients(self, mine: Collection[int], inside: Collection[int]) -> Iterator[str]:
        """Who outside is connected to the process that holds ``mine``, or waits to be. A noun phrase each."""
        others = []
        for inode in mine:
            end = self.unix(inode)
            if end is None:
                others.append(inode)
            else:
                yield from self._unix_clients(end, inside)
        if others:
            yield from self._tcp_clients(others, inside)

    def _unix_clients(self, end: UnixEnd, inside: Collection[int]) -> Iterator[str]:
        where = _shown(end.name)
        if end.state == LISTEN:
            if any(caller not in inside for caller in end.waiting if caller):
                yield f"a process that waits at its socket {where}"
        elif end.name and end.peer and end.peer not in inside:
            yield f"a process that is connected to its socket {where}"

    def _tcp_clients(self, mine: Collection[int], inside: Collection[int]) -> Iterator[str]:
        table = self.tcp()
        ports, own = table.ports(inside), table.ports(mine)
        for entry, other in table.callers(ports):
            accepted = entry.inode in mine or (entry.inode == 0 and entry.here.port in own)
            if accepted and table.alive(entry, other, inside):
                yield f"{entry.there}, connected to its port {entry.here.port}"
        for caller in table.knocking(own, inside):
            yield f"{caller.here}, which waits at its port {caller.there.port}"

    def ports(self, mine: Collection[int]) -> set[int]:
        """On which TCP ports these sockets listen."""
        others = [inode for inode in mine if self.unix(inode) is None]
        return self.tcp().ports(others) if others else set()

    def listens(self, mine: Collection[int]) -> bool:
        """Whether one of these sockets is there to be called."""
        ends = (self.unix(inode) for inode in mine)
        return any(end is not None and end.state == LISTEN for end in ends) or bool(self.ports(mine))

    def on_screen(self, mine: Collection[int], inside: Collection[int]) -> bool:
        """Whether one of these sockets is connected to the display."""
        for inode in mine:
            end = self.unix(inode)
            if end is None:
                entry = self.tcp().by_inode.get(inode)
                if entry is not None and entry.there.local and entry.there.port in _FORWARDED_DISPLAYS:
                    return True
            elif not end.name and end.peer and end.peer not in inside:
                peer = self.unix(end.peer)
                if peer is not None and _is_display(peer.name):
                    return True
        return False

    def fed_by(self, inode: int, inside: Collection[int]) -> str:
        """Who outside is at the other end of a socket that is a process's input; empty for nobody."""
        end = self.unix(inode)
        if end is not None:
            return "the process at the other end of its input" if end.peer and end.peer not in inside else ""
        entry = self.tcp().by_inode.get(inode)
        if entry is None or entry.state == LISTEN:
            return ""
        other = self.tcp().by_ends.get((entry.there, entry.here))
        return str(entry.there) if self.tcp().alive(entry, other, inside) else ""

    def unaccounted(self, mine: Collection[int]) -> bool:
        """Whether one of these is neither a unix socket nor one of TCP, as far as can be seen from here."""
        return any(self.unix(inode) is None and inode not in self.tcp().by_inode for inode in mine)


def _unix_end(message: bytes) -> UnixEnd:
    _, _, state, _, _, _, _ = UNIX_ANSWER.unpack_from(message)
    name, peer, waiting = b"", 0, ()
    for kind, value in attributes(message, UNIX_ANSWER.size):
        if kind == _NAME:
            name = value
        elif kind == _PEER:
            peer = NUMBER.unpack_from(value)[0]
        elif kind == _WAITING:
            waiting = tuple(number for (number,) in NUMBER.iter_unpack(value))
    return UnixEnd(state, name, peer, waiting)


def _tcp(message: bytes) -> Tcp:
    family, state, sport, dport, src, dst, inode = _INET_ANSWER.unpack_from(message)
    return Tcp(state, _place(family, src, sport), _place(family, dst, dport), inode)


def _place(family: int, address: bytes, port: bytes) -> Place:
    if family == socket.AF_INET:
        address = address[:4]
    elif address.startswith(_MAPPED):
        address = address[12:]
    return Place(address, int.from_bytes(port, "big"))


def _shown(name: bytes) -> str:
    """The name of a unix socket; one that is no file begins with ``@``, as in ss(8)."""
    return os.fsdecode(b"@" + name[1:] if name.startswith(b"\0") else name.rstrip(b"\0"))


def _is_display(name: bytes) -> bool:
    shown = _shown(name).removeprefix("@")
    return shown.startswith(_DISPLAYS) or shown.rpartition("/")[2].startswith("wayland-")
