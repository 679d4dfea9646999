"""The door to the sessions of the registry: the room behind it is opened when somebody has registered.

Until then nobody pays for it. The database alone costs 3 MiB.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentinel.config import Registry as Wishes
    from sentinel.handlers.registered import RegisteredSessions


class Registrations:
    """Hands on what concerns registered sessions, see ``RegisteredSessions``.

    Args:
        path: The registry. It need not be there.
        open_room: Makes the room that knows it.
    """

    def __init__(self, path: Path, open_room: Callable[[], RegisteredSessions]) -> None:
        self._path = path
        self._open_room = open_room
        self._room: RegisteredSessions | None = None
        self._shut = False

    def stay_shut(self) -> None:
        """Read no registry: this is safe mode, and it may be what brought us here."""
        self._shut = True

    def find(self) -> None:
        """Open the sessions of all entries that are active, if there is a registry."""
        if not self._shut and os.path.lexists(self._path):
            self._opened().find()

    def tend(self, wishes: Wishes) -> None:
        """Forget what has been over for long enough, if there is a registry."""
        if not self._shut and os.path.lexists(self._path):
            self._opened().tend(wishes)

    def enlisted(self, session: str) -> dict[str, object]:
        """Something about this session has changed.

        Raises:
            SentinelError: It has ended, or the registry cannot be read.
        """
        return {"session": ""} if self._shut else self._opened().enlisted(session)

    def _opened(self) -> RegisteredSessions:
        if self._room is None:
            self._room = self._open_room()
        return self._room
