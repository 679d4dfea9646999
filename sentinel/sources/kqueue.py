"""Ends, execs and forks of single processes on macOS, from a kqueue.

Never run on macOS: it was written against kqueue(2) and XNU's ``bsd/kern/kern_event.c``
(``filt_procattach``, ``filt_procevent``), and is tested with a stand-in that answers as
those say. What they say:

- ``NOTE_FORK`` does not name the child (``NOTE_TRACK`` is refused with ENOTSUP), so
  somebody has to look.
- Ended processes, zombies too, cannot be registered: ESRCH.
- ``NOTE_EXITSTATUS`` was for children only, later for every process that we may signal;
  else the registration fails with EACCES.
- A registration belongs to the process and goes with its end, but is found by the number
  until its last event was fetched: to register the number's next bearer before that changes
  the old registration, and watches nobody.
"""

from __future__ import annotations

import asyncio
import itertools
import select
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from sentinel.bus import Bus
from sentinel.core.events import LookDue, ProcessExecuted, ProcessExited, SourceDegraded
from sentinel.core.facts import Death, ProcessId
from sentinel.errors import SourceUnavailable

# The numbers of sys/event.h, for where ``select`` has no kqueue and for what it does not name.
_KQUEUE: Final = getattr(select, "kqueue", None)
_KEVENT: Final = getattr(select, "kevent", None)
_FILTER_PROC: Final[int] = getattr(select, "KQ_FILTER_PROC", -5)
_ADD: Final[int] = getattr(select, "KQ_EV_ADD", 0x1)
_DELETE: Final[int] = getattr(select, "KQ_EV_DELETE", 0x2)
_CLEAR: Final[int] = getattr(select, "KQ_EV_CLEAR", 0x20)
_NOTE_EXIT: Final[int] = getattr(select, "KQ_NOTE_EXIT", 0x80000000)
_NOTE_FORK: Final[int] = getattr(select, "KQ_NOTE_FORK", 0x40000000)
_NOTE_EXEC: Final[int] = getattr(select, "KQ_NOTE_EXEC", 0x20000000)
_NOTE_EXITSTATUS: Final = 0x04000000 if sys.platform != "freebsd" else 0

_WISHES: Final = _NOTE_EXIT | _NOTE_FORK | _NOTE_EXEC
_WAIT_STATUS: Final = 0xFFFF
_BATCH: Final = 256
_FORK_PAUSE: Final = 0.25
"""Seconds between two looks for the children of forks: a look costs tens of milliseconds."""
_WHY: Final = "a watched process forked"


class Kevent(Protocol):
    """The part of ``select.kevent`` that is read."""

    ident: int
    fflags: int
    data: int
    udata: int


class Kqueue(Protocol):
    """The part of ``select.kqueue`` that is used."""

    def fileno(self) -> int:
        """Readable when there are events."""

    def control(self, changelist: Sequence[Any] | None, max_events: int, timeout: float | None = ...) -> Sequence[Any]:
        """Register, and fetch events. Raises the OSError of a failed registration when ``max_events`` is 0."""

    def close(self) -> None:
        """Give it back."""


class KqueueSource:
    """Publishes the ends and execs of the processes it was told to watch.

    It has ``ExitWatch``'s door, and tells of execs and forks besides.

    Args:
        bus: Where events go.
        catch_up: Called before a death is published, so that births which another source
            can tell are known by then.
        kqueue: Makes the kernel's queue.
        kevent: Makes a registration: ident, filter, flags, fflags, data, udata.
    """

    name = "kqueue"

    def __init__(
        self,
        bus: Bus,
        catch_up: Callable[[], None],
        kqueue: Callable[[], Kqueue] | None = _KQUEUE,
        kevent: Callable[..., Any] | None = _KEVENT,
    ) -> None:
        self._bus = bus
        self._catch_up = catch_up
        self._new_queue = kqueue
        self._kevent = kevent
        self._queue: Kqueue | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: dict[int, tuple[ProcessId, int]] = {}
        """By pid: who it is, and the mark that its events carry and nobody else's."""
        self._marks = itertools.count(1)
        self._looked = float("-inf")
        self._look: asyncio.TimerHandle | None = None
        self._said = False

    def open(self) -> None:
        """Get the queue.

        Raises:
            SourceUnavailable: This kernel has none, or none to give.
        """
        if self._new_queue is None or self._kevent is None:
            raise SourceUnavailable("this kernel has no kqueue")
        try:
            self._queue = self._new_queue()
        except OSError as error:
            raise SourceUnavailable(f"the kernel gives us no kqueue: {error.strerror}") from error

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Publish in this loop from now on. ``open`` comes first."""
        if self._queue is None:
            raise RuntimeError("open() comes first")
        self._loop = loop
        loop.add_reader(self._queue.fileno(), self.drain)

    def close(self) -> None:
        """Stop watching everything and give the queue back."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if self._queue is not None:
            if self._loop is not None:
                self._loop.remove_reader(self._queue.fileno())
            self._queue.close()  # the registrations go with it
            self._queue = None
        self._watched.clear()

    def watch(self, who: ProcessId) -> bool:
        """Publish ``ProcessExited`` once when it has ended: at once, if it has already.

        False: it cannot be waited for. The kernel knows the number alone; that the number
        is still ``who``'s, whoever asks has just seen.
        """
        if self._queue is None:
            return False
        if who.pid in self._watched:
            if self._watched[who.pid][0] == who:
                return True
            self.drain()  # the end of the number's former bearer is in the queue
            if who.pid in self._watched:
                self.forget(self._watched[who.pid][0])
        mark = next(self._marks)
        try:
            self._register(who.pid, mark)
        except ProcessLookupError:
            self._end(who.pid, None)
            return True
        except OSError as error:
            self._refused(error)
            return False
        self._watched[who.pid] = who, mark
        return True

    def forget(self, who: ProcessId) -> None:
        """Stop watching; nothing when it is not watched."""
        if who.pid not in self._watched or self._watched[who.pid][0] != who:
            return
        del self._watched[who.pid]
        with suppress(OSError):  # ended this moment: its registration is gone, and its event is dropped
            self._control(who.pid, _DELETE, 0, 0)

    def drain(self) -> None:
        """Publish what the kernel has queued up to now."""
        while self._queue is not None:
            events: Sequence[Kevent] = self._queue.control(None, _BATCH, 0)
            self._work_off(events)
            if len(events) < _BATCH:
                return

    # -- the queue -----------------------------------------------------------------

    def _register(self, pid: int, mark: int) -> None:
        try:
            self._control(pid, _ADD | _CLEAR, _WISHES | _NOTE_EXITSTATUS, mark)
        except PermissionError:
            self._control(pid, _ADD | _CLEAR, _WISHES, mark)

    def _control(self, pid: int, flags: int, notes: int, mark: int) -> None:
        if self._queue is not None and self._kevent is not None:
            self._queue.control([self._kevent(pid, _FILTER_PROC, flags, notes, 0, mark)], 0, 0)

    def _refused(self, error: OSError) -> None:
        if not self._said:
            self._said = True
            self._bus.publish(SourceDegraded(self.name, f"a process cannot be watched: {error.strerror}"))

    # -- the events ----------------------------------------------------------------

    def _work_off(self, events: Sequence[Kevent]) -> None:
        """Births before ends: once a parent is written off, its children cannot be told any more."""
        if any(event.fflags & _NOTE_FORK and self._ours(event) for event in events):
            self._forked()
        for event in events:
            if event.fflags & _NOTE_EXEC and self._ours(event):
                self._bus.publish(ProcessExecuted(event.ident))
        for event in events:
            if event.fflags & _NOTE_EXIT and self._ours(event):
                del self._watched[event.ident]
                told = event.fflags & _NOTE_EXITSTATUS
                self._end(event.ident, event.data & _WAIT_STATUS if told else None)

    def _ours(self, event: Kevent) -> bool:
        """Asked for each: a handler may have told us to forget it since it was fetched."""
        watched = self._watched.get(event.ident)
        return watched is not None and watched[1] == event.udata

    def _end(self, pid: int, status: int | None) -> None:
        at = time.monotonic()
        if self._look is not None:
            self._look_now()
        self._catch_up()
        self._bus.publish(ProcessExited(pid, Death(at, status)))

    def _forked(self) -> None:
        """Have somebody look for the child: now, or when the pause is over."""
        left = self._looked + _FORK_PAUSE - time.monotonic()
        if left <= 0 or self._loop is None:
            self._look_now()
        elif self._look is None:
            self._look = self._loop.call_later(left, self._look_now)

    def _look_now(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None
        self._looked = time.monotonic()
        self._bus.publish(LookDue(_WHY))
