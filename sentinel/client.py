"""The command line's side of the inbox."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

import msgspec

from sentinel import wire
from sentinel.errors import NotRunning, SentinelError

_PAUSE = 0.02
"""Seconds between two tries."""


def ask(inbox: Path, request: wire.Request, patience: float = 2.0) -> object:
    """Ask the agent, and return the data of its answer. One that has too many to answer is asked again.

    Args:
        inbox: Its socket.
        request: The question.
        patience: Seconds to wait for connection and answer together, at most twice that, and for our turn.

    Raises:
        NotRunning: Nobody listens there, or nobody answers in time.
        SentinelError: The agent refused, with its sentence.
    """
    deadline = time.monotonic() + patience
    while (reply := _asked(inbox, request, patience)).busy and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    if not reply.ok:
        raise SentinelError(reply.error)
    return reply.data


def _asked(inbox: Path, request: wire.Request, patience: float) -> wire.Reply:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(patience)
            connection.connect(str(inbox))
            with contextlib.suppress(BrokenPipeError):  # who refuses us does not listen, and says why
                connection.sendall(wire.encode(request) + b"\n")
            answer = _line(connection)
    except TimeoutError as error:
        raise NotRunning(f"the agent did not answer within {patience:g} s") from error
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotRunning("no agent answers") from error  # none was started, or it has ended
    except OSError as error:
        raise NotRunning(f"no agent answers ({error.strerror or error})") from error
    try:
        return wire.decode_reply(answer)
    except msgspec.MsgspecError as error:
        raise SentinelError(f"the agent's answer cannot be read: {error}") from error


def _line(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        part = connection.recv(wire.LIMIT)
        if not part:
            break
        parts.append(part)
    return b"".join(parts)
