"""Asking the kernel about sockets: NETLINK_SOCK_DIAG, see sock_diag(7).

The kernel answers from its own tables, so nobody is connected to and nobody notices. It
speaks of this network namespace only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

LISTEN = 10  # TCP_LISTEN of include/net/tcp_states.h, used for unix sockets too
ANY = 0xFFFFFFFF
UNIX_REQUEST = struct.Struct("=BBHIIIII")  # struct unix_diag_req
UNIX_ANSWER = struct.Struct("=BBBBIII")  # struct unix_diag_msg
INET_REQUEST = struct.Struct("=BBBBI48x")  # struct inet_diag_req_v2, of any address
NUMBER = struct.Struct("=I")

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_REQUEST = 0x1  # NLM_F_REQUEST
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_ERRNO = struct.Struct("=i")
_ATTRIBUTE = struct.Struct("=HH")
_PIECE = 1 << 16
"""Bytes of one read. The kernel makes pieces of 32 KiB at most."""
_PATIENCE = 1.0
"""Seconds. The kernel answers at once; this only keeps a fault from becoming a hang."""


class _Dump(NamedTuple):
    """Everything the kernel had to say."""

    messages: list[bytes]
    pieces: int
    """In how many reads the entries came. Between two of them the table may have changed."""


class SockDiag:
    """A line to the kernel, for several questions. Each may raise ``OSError``.

    Raises:
        OSError: The kernel has no such facility.
    """

    def __init__(self) -> None:
        self._netlink: socket.socket
        if sys.platform != "linux":
            raise OSError(errno.EPROTONOSUPPORT, "only Linux has it")
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)
        self._netlink.settimeout(_PATIENCE)

    def close(self) -> None:
        """Hang up."""
        self._netlink.close()

    def _ask(self, request: bytes, flags: int) -> None:
        header = _HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, flags, 0, 0)
        self._netlink.send(header + request)

    def dump(self, request: bytes) -> list[bytes]:
        """Every socket that fits ``request``; where they are many, each may be there twice, the later answer last.

        Raises:
            OSError: The kernel refused, or was interrupted twice.
        """
        messages, pieces = self._dump(request)
        if pieces > 1:
            # A socket that closes between two pieces can hide its neighbour in the table
            # from this dump (the kernel counts places), but not the same one twice.
            messages += self._dump(request).messages
        return messages

    def _dump(self, request: bytes) -> _Dump:
        for _ in range(2):
            self._ask(request, _REQUEST_DUMP)
            answer = _collect(self._netlink)
            if answer is not None:
                return answer
        raise OSError(errno.EINTR, "the table of sockets changed while it was read")

    def one(self, request: bytes) -> bytes | None:
        """The socket that ``request`` names by its inode; None for none of that family.

        Raises:
            OSError: The kernel refused.
        """
        self._ask(request, _REQUEST)
        piece = self._netlink.recv(_PIECE)
        length, kind, _, _, _ = _HEADER.unpack_from(piece)
        body = piece[_HEADER.size : length]
        if kind != _ERROR:
            return body
        if -_ERRNO.unpack_from(body)[0] == errno.ENOENT:
            return None
        _complain(body)
        raise OSError(errno.EPROTO, "the kernel answered with nothing")


def dump(request: bytes) -> list[bytes]:
    """Every socket that fits ``request``, as ``SockDiag.dump`` has them.

    Raises:
        OSError: The kernel refused, was interrupted twice, or has no such facility.
    """
    with contextlib.closing(SockDiag()) as line:
        return line.dump(request)


def attributes(message: bytes, position: int) -> Iterator[tuple[int, bytes]]:
    """The attributes of an answer, from ``position`` on: the kind of each, and its value."""
    while position + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, position)
        yield kind, message[position + _ATTRIBUTE.size : position + length]
        position += max(length + 3 & ~3, _ATTRIBUTE.size)


def _collect(netlink: socket.socket) -> _Dump | None:
    """The answer to one request; None when it was interrupted."""
    messages: list[bytes] = []
    pieces = 0
    interrupted = False
    while True:
        piece = netlink.recv(_PIECE)
        before = len(messages)
        position = 0
        done = False
        while position + _HEADER.size <= len(piece):
            length, kind, flags, _, _ = _HEADER.unpack_from(piece, position)
            interrupted |= bool(flags & _INTERRUPTED)
            body = piece[position + _HEADER.size : position + length]
            if kind in (_ERROR, _DONE):
                _complain(body)
                done = True
                break
            messages.append(body)
            position += (length + 3) & ~3
        pieces += len(messages) > before
        if done:
            return None if interrupted else _Dump(messages, pieces)


def _complain(body: bytes) -> None:
    """Raise what an error message, or the end of a dump that failed, says."""
    if len(body) >= _ERRNO.size and (code := -_ERRNO.unpack_from(body)[0]) > 0:
        raise OSError(code, os.strerror(code))
