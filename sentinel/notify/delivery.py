"""One attempt on the desktop: a worker process gets the text, a deadline, and an end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Mapping

import msgspec

from sentinel.core.sanitise import clean
from sentinel.core.sentences import signal_name
from sentinel.notify import texts
from sentinel.notify.way import Delivery, Message

# -P keeps the current directory, which may be anybody's repository, off the module path.
# -I would also ignore PYTHONPATH and the user's site-packages, where this package may be.
COMMAND = (sys.executable, "-P", "-m", "sentinel.notify_worker")
SAID_LIMIT = 4096
REAPING = 1.0
"""Seconds that a killed worker gets to be gone; only one that sleeps in the kernel needs them."""


class _Taken(msgspec.Struct):
    """What a worker says on a line of its own of how it went about it."""

    by: str
    id: int = 0


async def deliver(message: Message, *, replaces: int, deadline: float, environ: Mapping[str, str]) -> Delivery:
    """Have a worker show the message; return when the worker has ended, or was ended.

    The text waits in a socket before the worker starts, and what it says is read from
    there after its end. So nothing here waits for a pipe to be closed, which something
    that the worker started might hold open.

    Args:
        message: What to show.
        replaces: The mark of the one whose place it takes; 0 for none.
        deadline: Seconds.
        environ: The worker's environment.

    Raises:
        OSError: No process or no descriptor is to be had.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        job = {
            "application": texts.APPLICATION,
            "title": texts.title(message.title),
            "body": texts.body(message.body),
            "urgent": message.urgent,
            "replaces": replaces,
            "deadline": deadline,
            "agent": os.getpid(),
        }
        ours.sendall(msgspec.json.encode(job))
        ours.shutdown(socket.SHUT_WR)
        worker = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=theirs.fileno(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=theirs.fileno(),
            env=environ,
            cwd="/",
            start_new_session=True,  # Ctrl-C is for the agent, which ends its worker in good order
        )
        try:
            async with asyncio.timeout(deadline):
                status = await worker.wait()
        except TimeoutError:
            return Delivery(shown=False, why=f"no answer from the desktop within {deadline:g} s")
        finally:
            await _end(worker)
        taken, complaint = _read(_received(ours))
        if status == 0:
            return Delivery(shown=True, by=f"desktop ({taken.by})" if taken.by else "desktop", mark=taken.id)
        return Delivery(shown=False, why=_reason(status, complaint))


async def _end(worker: asyncio.subprocess.Process) -> None:
    """Leave no worker and no zombie."""
    if worker.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        worker.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REAPING):
            await worker.wait()


def _received(ours: socket.socket) -> bytes:
    try:
        return ours.recv(SAID_LIMIT, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def _read(said: bytes) -> tuple[_Taken, list[bytes]]:
    """How the worker went about it, and the lines that it, or what it became, said besides."""
    taken, complaint = _Taken(""), []
    for line in said.strip().splitlines():
        try:
            taken = msgspec.json.decode(line, type=_Taken)
        except msgspec.DecodeError:
            complaint.append(line)
    return taken, complaint


def _reason(status: int, complaint: list[bytes]) -> str:
    """The last thing that was said; else how the worker ended."""
    if any(b"org.freedesktop.DBus.Error.ServiceUnknown" in line for line in complaint):
        return "no notification service runs (nobody owns org.freedesktop.Notifications)"
    if complaint:
        return clean(complaint[-1])
    if status < 0:
        return f"the notifier was ended by {signal_name(-status)}"
    return f"the notifier ended with status {status}"
