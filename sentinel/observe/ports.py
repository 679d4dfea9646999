"""TCP ports: who listens, found out without a connection."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable
from typing import NamedTuple

from sentinel.core.facts import Unknown
from sentinel.observe.sock_diag import INET_REQUEST, LISTEN, NUMBER, dump
from sentinel.observe.sockets import sockets_of

_QUESTION = "which ports are listened on"
_PORT = struct.Struct(">H")
_PORT_AT, _UID_AT, _INODE_AT = 4, 64, 68  # in struct inet_diag_msg


class Listener(NamedTuple):
    """A socket on which somebody listens."""

    port: int
    uid: int
    """Whose it is: told also of those whose processes nobody else may look into."""


def listeners() -> dict[int, Listener] | Unknown:
    """Every listening TCP socket of this network namespace, by its inode number: ``socket:[N]`` in /proc/PID/fd."""
    if sys.platform != "linux":
        return Unknown(_QUESTION, "this system does not tell")
    found: dict[int, Listener] = {}
    try:
        for family in (socket.AF_INET, socket.AF_INET6):
            for message in dump(INET_REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << LISTEN)):
                number, uid = (NUMBER.unpack_from(message, at)[0] for at in (_INODE_AT, _UID_AT))
                found[number] = Listener(_PORT.unpack_from(message, _PORT_AT)[0], uid)
    except OSError as error:
        return Unknown(_QUESTION, str(error))
    return found


def ports_of(pids: Iterable[int], known: dict[int, Listener] | Unknown | None = None) -> dict[int, list[int]] | Unknown:
    """On which TCP ports each process listens. One that cannot be looked at is left out.

    ``known`` saves asking the kernel again.
    """
    listening = listeners() if known is None else known
    if isinstance(listening, Unknown):
        return listening
    found: dict[int, list[int]] = {}
    for pid in pids:
        try:
            found[pid] = sorted({listening[number].port for number in sockets_of(pid) if number in listening})
        except OSError:
            continue
    return found
