"""The word to systemd: ready, how it goes, still alive, going.

The protocol is a datagram of ``NAME=value`` lines to the socket that ``NOTIFY_SOCKET``
names, see sd_notify(3). Where nobody set it, everything here does nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from sentinel.core.sanitise import clean

_STATUS = 200
"""Characters of the line that ``systemctl status`` shows."""


class Supervisor:
    """Tells systemd how its service is. Never raises, and waits for nobody.

    Args:
        environ: The environment that the manager gave us.
        pid: Ours: a watchdog that was set for another process is none of our business.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, pid: int | None = None) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._status = ""
        self.watchdog = _watchdog(environ, os.getpid() if pid is None else pid) if self._address else 0.0
        """Seconds within which it wants to hear from us again; 0.0 when it does not."""

    @property
    def listens(self) -> bool:
        """Whether anybody wants to be told."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """All is watched. Also the word that ends a ``reloading``."""
        self._status = clean(status, _STATUS)
        self._say("READY=1", f"STATUS={self._status}")

    def status(self, status: str) -> None:
        """One line for ``systemctl status``. Said only when it changed."""
        text = clean(status, _STATUS)
        if text != self._status:
            self._status = text
            self._say(f"STATUS={text}")

    def alive(self) -> None:
        """The watchdog's due. Called only when the last look is fresh."""
        self._say("WATCHDOG=1")

    def reloading(self) -> None:
        """The configuration is being read again; ``ready`` says that it was."""
        # systemd 253 and later (Type=notify-reload) compares this with its own clock.
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._say("STOPPING=1")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.settimeout(0)
            out.sendto("\n".join(lines).encode(), self._address)


def _address(wanted: str) -> str:
    """The socket's address: a path, or a name in the abstract namespace, written with ``@``."""
    if wanted.startswith("@"):
        return "\0" + wanted[1:]
    return wanted if os.path.isabs(wanted) else ""


def _watchdog(environ: Mapping[str, str], pid: int) -> float:
    for_whom = environ.get("WATCHDOG_PID", "")
    if for_whom and for_whom != str(pid):
        return 0.0
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdigit() else 0.0
