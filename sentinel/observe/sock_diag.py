"""Asking the kernel about sockets: NETLINK_SOCK_DIAG, see sock_diag(7).

The kernel answers from its own tables, so nobody is connected to and nobody notices. It
speaks of this network namespace only.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import NamedTuple

LISTEN = 10  # TCP_LISTEN of include/net/tcp_states.h, used for unix sockets too

_SOCK_DIAG = 4  # NETLINK_SOCK_DIAG
_BY_FAMILY = 20  # SOCK_DIAG_BY_FAMILY
_REQUEST_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_ERRNO = struct.Struct("=i")
_PIECE = 1 << 16
"""Bytes of one read. The kernel makes pieces of 32 KiB at most."""
_PATIENCE = 1.0
"""Seconds. The kernel answers at once; this only keeps a fault from becoming a hang."""


class Dump(NamedTuple):
    """Everything the kernel had to say."""

    messages: list[bytes]
    pieces: int
    """In how many reads the entries came. Between two of them the table may have changed."""


def dump(request: bytes) -> Dump:
    """Every socket that fits ``request``.

    Raises:
        OSError: The kernel refused, was interrupted twice, or has no such facility.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG) as netlink:
        netlink.settimeout(_PATIENCE)
        for _ in range(2):
            netlink.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _REQUEST_DUMP, 0, 0) + request)
            answer = _collect(netlink)
            if answer is not None:
                return answer
    raise OSError(errno.EINTR, "the table of sockets changed while it was read")


def _collect(netlink: socket.socket) -> Dump | None:
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
            return None if interrupted else Dump(messages, pieces)


def _complain(body: bytes) -> None:
    """Raise what an error message, or the end of a dump that failed, says."""
    if len(body) >= _ERRNO.size and (code := -_ERRNO.unpack_from(body)[0]) > 0:
        raise OSError(code, os.strerror(code))
