"""The inbox: a unix socket on which the command line and ``sentinel run`` speak to the agent.

It lies in a directory that only its user may enter, and the kernel is asked who the peer is
all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from sentinel import wire
from sentinel.bus import Bus
from sentinel.core.events import HandlerFailed, MessageRefused
from sentinel.core.sanitise import clean
from sentinel.errors import SentinelError

Answer = Callable[[wire.Request, int], object]
"""From a request and the pid of its sender to the data of the reply."""

_PATIENCE = 1.0
"""Seconds that a peer has to say its line."""
_PEERS = 32
_SENTENCE = 1000
"""Characters of a refusal."""
_REFUSALS = 10
_WHILE = 60.0
"""So many refusals are recorded in so many seconds: who goes on sending nonsense must not push
everything else out of the journal. The next one that is recorded says how many were not."""
_SO_PEERCRED = struct.Struct("3i")
_LOCAL_PEERPID = 2  # macOS: sys/un.h


class Inbox:
    """Serves one request a connection.

    Raises nothing at a peer's doing: what cannot be read or is not allowed is answered with
    a sentence, recorded, and forgotten.
    """

    def __init__(self, bus: Bus, path: Path, answer: Answer) -> None:
        self._bus = bus
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._bound: os.stat_result | None = None
        self._peers = 0
        self._refusals = deque[float](maxlen=_REFUSALS)
        """When the last ones were recorded, monotonic seconds."""
        self._unrecorded = 0

    async def start(self) -> None:
        """Listen. The caller holds the agent's lock, so what lies at the path is a leftover."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:  # nothing is awaited here: the umask is that of the whole process
            listener.bind(str(self._path))
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
        self._bound = os.lstat(self._path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=wire.LIMIT)

    @property
    def in_place(self) -> bool:
        """Whether our socket is still what others find under its name."""
        try:
            found = os.lstat(self._path)
        except OSError:
            return False
        return self._bound is not None and os.path.samestat(found, self._bound)

    async def close(self) -> None:
        """Stop listening and take the socket away. One that lies there by now is another agent's."""
        if self._server is not None:
            self._server.close()
            if self.in_place:
                with contextlib.suppress(FileNotFoundError):
                    self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peers += 1
        try:
            reply = await self._reply(reader, writer)
            if reply is not None:
                writer.write(reply + b"\n")
                await asyncio.wait_for(writer.drain(), _PATIENCE)
        except (OSError, TimeoutError):
            pass  # the peer went away or does not read: its loss
        finally:
            self._peers -= 1
            writer.close()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        pid, uid = _peer(writer.get_extra_info("socket"))
        if uid != os.getuid():
            return self._refuse(pid, f"it is another user (uid {uid})")
        if self._peers > _PEERS:
            return self._refuse(pid, f"more than {_PEERS} speak at once", busy=True)
        try:
            line = await asyncio.wait_for(reader.readline(), _PATIENCE)
        except ValueError:
            return self._refuse(pid, f"its message is longer than {wire.LIMIT} bytes")
        except TimeoutError:
            return self._refuse(pid, f"it said nothing for {_PATIENCE:g} s")
        if not line:
            return None
        try:
            request = wire.decode_request(line)
        except (msgspec.MsgspecError, RecursionError) as error:
            return self._refuse(pid, f"its message cannot be read: {error}")
        return self._answered(request, pid)

    def _answered(self, request: wire.Request, pid: int) -> bytes:
        try:
            return wire.encode(wire.Reply(ok=True, data=self._answer(request, pid)))
        except SentinelError as error:
            return _no(str(error))
        except Exception as error:  # noqa: BLE001 - a question that nobody foresaw must not cost the next one its answer
            what = f"{type(error).__name__}: {error}"
            self._bus.publish(HandlerFailed("Inbox", type(request).__name__, what))
            return _no(f"the agent failed to answer: {what}")

    def _refuse(self, pid: int, why: str, *, busy: bool = False) -> bytes:
        now = time.monotonic()
        if len(self._refusals) == _REFUSALS and now - self._refusals[0] < _WHILE:
            self._unrecorded += 1
        else:
            self._refusals.append(now)
            self._bus.publish(MessageRefused(pid, clean(why), self._unrecorded))
            self._unrecorded = 0
        return _no(why, busy=busy)


def _no(why: str, *, busy: bool = False) -> bytes:
    return wire.encode(wire.Reply(ok=False, error=clean(why, _SENTENCE), busy=busy))


def _peer(connection: socket.socket) -> tuple[int, int]:
    """Pid and uid of the other side, from the kernel."""
    if sys.platform == "linux":
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _SO_PEERCRED.size)
        pid, uid, _ = _SO_PEERCRED.unpack(raw)
        return pid, uid
    pid = connection.getsockopt(0, _LOCAL_PEERPID)
    # The directory is 0700 and macOS checks it on connect: who got here is us.
    return pid, os.getuid()
