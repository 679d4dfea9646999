"""Who is on the desktop's message bus: one question to the bus itself, which starts nobody.

The least of the D-Bus protocol that asks it (dbus.freedesktop.org/doc/dbus-specification.html):
a library would bring a main loop with it, and the tools are not everywhere.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from urllib.parse import unquote

from sentinel.core.facts import Unknown

_BUS = "org.freedesktop.DBus"
_HEADER = struct.Struct("<cBBBIII")
_CALL, _RETURN, _ERROR = 1, 2, 3
_LARGEST = 1 << 20
_PIECE = 4096


def serves(address: str, name: str, deadline: float = 1.0) -> bool | Unknown:
    """Whether somebody has ``name`` on the bus, or would be started for it.

    Args:
        address: As in ``DBUS_SESSION_BUS_ADDRESS``: the first entry that is a unix socket is asked.
        name: Such as ``org.freedesktop.Notifications``.
        deadline: Seconds for all of it.
    """
    question = f"whether anybody serves {name}"
    path = _socket_path(address)
    if not path:
        return Unknown(question, "the bus is no unix socket")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            bus = _Bus(line, time.monotonic() + deadline)
            bus.connect(path)
            if bus.ask("NameHasOwner", name) == struct.pack("<I", 1):
                return True
            return _string(name) in bus.ask("ListActivatableNames")
    except OSError as error:
        return Unknown(question, str(error) or f"no answer within {deadline:g} s")


class _Bus:
    """A connection. Everything may raise ``OSError``; a ``TimeoutError`` at the deadline."""

    def __init__(self, line: socket.socket, deadline: float) -> None:
        self._line = line
        self._deadline = deadline
        self._serial = 0

    def connect(self, path: str) -> None:
        self._hurry()
        self._line.connect(path)
        self._send(b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n")
        said = b""
        while not said.endswith(b"\r\n"):
            said += self._receive(_PIECE)
        if not said.startswith(b"OK "):
            raise OSError("the bus does not let us in")
        self._send(b"BEGIN\r\n")
        self.ask("Hello")

    def ask(self, member: str, argument: str = "") -> bytes:
        """The body of the bus's answer."""
        self._serial += 1
        self._send(_call(self._serial, member, argument))
        while True:
            kind, body = self._message()
            if kind == _RETURN:
                return body
            if kind == _ERROR:
                raise OSError(f"the bus would not answer {member}")

    def _message(self) -> tuple[int, bytes]:
        endian, kind, _, _, length, _, fields = _HEADER.unpack(self._exactly(_HEADER.size))
        if endian != b"l" or length + fields > _LARGEST:
            raise OSError("the bus speaks another dialect")
        self._exactly(_aligned(fields))
        return kind, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            content += self._receive(size - len(content))
        return content

    def _receive(self, size: int) -> bytes:
        self._hurry()
        if not (content := self._line.recv(size)):
            raise OSError("the bus hung up")
        return content

    def _send(self, content: bytes) -> None:
        self._hurry()
        self._line.sendall(content)

    def _hurry(self) -> None:
        if (left := self._deadline - time.monotonic()) <= 0:
            raise TimeoutError
        self._line.settimeout(left)


def _socket_path(address: str) -> str:
    for entry in address.split(";"):
        transport, _, rest = entry.partition(":")
        keys = dict(pair.partition("=")[::2] for pair in rest.split(","))
        if transport == "unix" and "path" in keys:
            return unquote(keys["path"])
        if transport == "unix" and "abstract" in keys:
            return "\0" + unquote(keys["abstract"])
    return ""


def _call(serial: int, member: str, argument: str) -> bytes:
    fields = b""
    texts = [(1, "o", "/org/freedesktop/DBus"), (2, "s", _BUS), (3, "s", member), (6, "s", _BUS)]
    for code, kind, text in texts:
        fields += bytes(_aligned(len(fields)) - len(fields))
        fields += bytes((code, 1, ord(kind), 0)) + _string(text)
    body = b""
    if argument:
        body = _string(argument)
        fields += bytes(_aligned(len(fields)) - len(fields)) + bytes((8, 1, ord("g"), 0, 1, ord("s"), 0))
    header = _HEADER.pack(b"l", _CALL, 0, 1, len(body), serial, len(fields))
    return header + fields + bytes(_aligned(len(fields)) - len(fields)) + body


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<I", len(raw)) + raw + b"\0"


def _aligned(size: int) -> int:
    """``size`` filled up to a multiple of eight."""
    return size + 7 & ~7
