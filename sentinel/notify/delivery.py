"""One attempt: a worker process gets the text, a deadline, and an end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from sentinel.core.sanitise import clean
from sentinel.core.sentences import signal_name
from sentinel.notify.texts import APPLICATION

# -P keeps the current directory, which may be anybody's repository, off the module path.
# -I would also ignore PYTHONPATH and the user's site-packages, where this package may be.
COMMAND = (sys.executable, "-P", "-m", "sentinel.notify_worker")
COMPLAINT_LIMIT = 4096
REAPING = 1.0
"""Seconds that a killed worker gets to be gone; only one that sleeps in the kernel needs them."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Whether the desktop took the notification. A desktop on "do not disturb" takes it too."""

    shown: bool
    why: str = ""
    """Why it was not shown."""

    def __str__(self) -> str:
        return "delivered" if self.shown else f"not delivered: {self.why}"


async def deliver(title: str, body: str, *, deadline: float, environ: Mapping[str, str]) -> Delivery:
    """Have a worker show the text; return when the worker has ended, or was ended.

    The text waits in a socket before the worker starts, and what it complains about is
    read from there after its end. So nothing here waits for a pipe to be closed, which
    something that the worker started might hold open.

    Raises:
        OSError: No process or no descriptor is to be had.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        job = {
            "application": APPLICATION,
            "title": title,
            "body": body,
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
        if status == 0:
            return Delivery(shown=True)
        return Delivery(shown=False, why=_reason(status, _received(ours)))


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
        return ours.recv(COMPLAINT_LIMIT, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


def _reason(status: int, complaint: bytes) -> str:
    """The last thing that the worker, or the notify-send it became, said; else how it ended."""
    if b"org.freedesktop.DBus.Error.ServiceUnknown" in complaint:
        return "no notification service runs (nobody owns org.freedesktop.Notifications)"
    lines = complaint.strip().splitlines()
    if lines:
        return clean(lines[-1])
    if status < 0:
        return f"the notifier was ended by {signal_name(-status)}"
    return f"the notifier ended with status {status}"
