"""Exit events of single processes, from their pidfds.

A pidfd becomes readable when the whole process has ended, threads and all: the exact word
on a death, where the connector may only have heard of the first thread's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sentinel.bus import Bus
from sentinel.core.events import ProcessExited
from sentinel.core.facts import Death, ProcessId
from sentinel.observe.handles import Handles


class ExitWatch:
    """Publishes the end of the processes it was told to watch.

    Args:
        bus: Where events go.
        handles: Where the pidfds of taken processes are.
        catch_up: Called before a death is published, so that births which the kernel told
            earlier through a slower source are known by then.
        patience: Seconds to leave the word to a source that also knows *how* a process
            ended. The pidfd is a few microseconds ahead of the connector, and only the
            latter can tell the exit status of one that nobody has reaped yet.
    """

    def __init__(self, bus: Bus, handles: Handles, catch_up: Callable[[], None], patience: float = 0.0) -> None:
        self._bus = bus
        self._handles = handles
        self._catch_up = catch_up
        self._patience = patience
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: dict[ProcessId, int] = {}
        self._late: dict[ProcessId, asyncio.TimerHandle] = {}

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch in this loop from now on."""
        self._loop = loop

    def watch(self, who: ProcessId) -> bool:
        """Publish ``ProcessExited`` once when it has ended. False: there is no handle on it."""
        fd = self._handles.fd(who)
        if fd is None or self._loop is None:
            return False
        if who not in self._watched and who not in self._late:
            self._watched[who] = fd
            self._loop.add_reader(fd, self._ended, who)
        return True

    def forget(self, who: ProcessId) -> None:
        """Stop watching; to be called before its handle is dropped."""
        fd = self._watched.pop(who, None)
        if fd is not None and self._loop is not None:
            self._loop.remove_reader(fd)
        if (late := self._late.pop(who, None)) is not None:
            late.cancel()

    def close(self) -> None:
        """Stop watching everything."""
        for who in [*self._watched, *self._late]:
            self.forget(who)

    def _ended(self, who: ProcessId) -> None:
        try:
            self._catch_up()
        finally:  # whoever has heard of the end through this has forgotten it here
            if self._loop is not None and (fd := self._watched.pop(who, None)) is not None:
                self._loop.remove_reader(fd)
                self._tell_soon(self._loop, who)

    def _tell_soon(self, loop: asyncio.AbstractEventLoop, who: ProcessId) -> None:
        if self._patience:
            self._late[who] = loop.call_later(self._patience, self._publish, who)
        else:
            self._publish(who)

    def _publish(self, who: ProcessId) -> None:
        self._late.pop(who, None)
        self._bus.publish(ProcessExited(who.pid, Death(time.monotonic(), self._handles.status(who))))
