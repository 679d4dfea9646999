"""One attempt on the desktop: a worker process gets the text, a deadline, and an end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Mapping

import msgspec

from sentinel.core.buttons import Button
from sentinel.core.notices import EPISODE
from sentinel.core.sanitise import clean
from sentinel.core.sentences import signal_name
from sentinel.notify import texts
from sentinel.notify.popup import Popup
from sentinel.notify.way import Delivery, Message

# -P keeps the current directory, which may be anybody's repository, off the module path.
# -I would also ignore PYTHONPATH and the user's site-packages, where this package may be.
COMMAND = (sys.executable, "-P", "-m", "sentinel.notify_worker")


async def deliver(message: Message, *, replaces: int, deadline: float, environ: Mapping[str, str]) -> Delivery:
    """Have a worker show the message; return when the worker has ended, was ended, or waits for a button.

    The text waits in a socket before the worker starts, and what it says is read from
    there. So nothing here waits for a pipe to be closed, which something that the worker
    started might hold open.

    Args:
        message: What to show.
        replaces: The mark of the one whose place it takes; 0 for none.
        deadline: Seconds.
        environ: The worker's environment.

    Raises:
        OSError: No process or no descriptor is to be had.
    """
    popup = await _begin(_job(message, replaces, deadline), message.buttons, environ)
    waits = False
    try:
        async with asyncio.timeout(deadline):
            status = await popup.shown()
        taken, waits = popup.taken, status is None
        if status:
            return Delivery(shown=False, why=_reason(status, popup.complaint))
        by = f"desktop ({taken.by})" if taken.by else "desktop"
        return Delivery(shown=True, by=by, mark=taken.id, popup=popup if waits else None)
    except TimeoutError:
        return Delivery(shown=False, why=f"no answer from the desktop within {deadline:g} s")
    finally:
        if not waits:
            await popup.close(at_once=True)


def _job(message: Message, replaces: int, deadline: float) -> bytes:
    return msgspec.json.encode(
        {
            "application": texts.APPLICATION,
            "title": texts.title(message.title),
            "body": texts.body(message.body),
            "urgent": message.urgent,
            "replaces": replaces,
            "buttons": [(button, button.label) for button in message.buttons],
            "patience": EPISODE,
            "deadline": deadline,
            "agent": os.getpid(),
        }
    )


async def _begin(job: bytes, buttons: tuple[Button, ...], environ: Mapping[str, str]) -> Popup:
    """Start a worker on a job that waits for it."""
    ours, theirs = socket.socketpair()
    with contextlib.ExitStack() as failed, theirs:
        failed.enter_context(ours)
        ours.sendall(job)
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
        failed.pop_all()
    return Popup(worker, ours, buttons)


def _reason(status: int, complaint: list[bytes]) -> str:
    """The last thing that was said; else how the worker ended."""
    if any(b"org.freedesktop.DBus.Error.ServiceUnknown" in line for line in complaint):
        return "no notification service runs (nobody owns org.freedesktop.Notifications)"
    if complaint:
        return clean(complaint[-1])
    if status < 0:
        return f"the notifier was ended by {signal_name(-status)}"
    return f"the notifier ended with status {status}"
