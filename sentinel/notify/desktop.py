"""The desktop: through a worker process, since whatever shows notifications may hang."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from sentinel.notify import session_bus
from sentinel.notify.delivery import deliver
from sentinel.notify.way import Delivery, Message

_NO_BUS = "this log-in has no desktop (no D-Bus session bus)"


class Desktop:
    """The desktop's notification service.

    Args:
        deadline: Seconds that one attempt may take.
        environ: Where the desktop is looked for, at each attempt anew.
    """

    name = "desktop"

    def __init__(self, *, deadline: float, environ: Mapping[str, str] = os.environ) -> None:
        self._deadline = deadline
        self._environ = environ
        self._last = 0

    def obstacle(self) -> str:
        """Whether there is no desktop here."""
        return "" if worker_environment(self._environ) is not None else _NO_BUS

    async def show(self, message: Message) -> Delivery:
        """Have a worker show it."""
        environ = worker_environment(self._environ)
        if environ is None:
            return Delivery(shown=False, why=_NO_BUS)
        replaces = self._last if message.replaces else 0
        delivery = await deliver(message, replaces=replaces, deadline=self._deadline, environ=environ)
        if not message.urgent:  # that one is not to be replaced
            self._last = delivery.mark
        return delivery


def worker_environment(environ: Mapping[str, str]) -> dict[str, str] | None:
    """The agent's environment with the bus named in it; None when there is no desktop."""
    if sys.platform == "darwin":
        return dict(environ)
    address = session_bus.find(environ)
    if not address:
        return None
    # Our text is UTF-8. Python and, in old versions, notify-send take arguments in the locale's encoding.
    return {**environ, "DBUS_SESSION_BUS_ADDRESS": address, "LC_ALL": "C.UTF-8"}
