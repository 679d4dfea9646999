"""The switches, kept in a file: they hold over restarts, and without an agent.

Agent and command line both write it, each under the same lock. Who acts looks at the file
before each judgement (2 us), so a pause holds from the moment at which it was written,
whether or not anybody was told. While the file cannot be understood nothing is ended: what
it forbade is not known.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from sentinel import clocks
from sentinel.atomic import encode, lock, read_file, replace_file, set_aside
from sentinel.core.moments import Moment
from sentinel.core.policy import Policy
from sentinel.core.sanitise import clean
from sentinel.core.switches import Halt, Switches

_VERSION = 1
_LARGEST = 2**20
"""Bytes: room for 10,000 kept processes."""
_PATIENCE = 0.25
"""Seconds to wait for another writer. One that is stopped in its turn must not stop us."""
_PAUSE = 0.001
_LATEST = 253_402_214_400.0
"""The last day of the year 9999: what calendars have."""

Change = Callable[[Switches], Switches]
_Stamp = tuple[int, int, int, int]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    boot: str
    switches: Switches


class SwitchBoard:
    """The switches as the file has them, or as they were set where it could not be written.

    Args:
        path: The file. It need not be there.
        boot: The kernel's id of this boot: who was kept in another one is gone.
    """

    def __init__(self, path: Path, boot: str) -> None:
        self._path = path
        self._boot = boot
        self._stamp: _Stamp | None = None
        self._switches = Switches()
        self._damaged = False
        self.trouble = ""
        """Empty, or why the last change was not written: it holds until this process ends."""

    def now(self) -> Switches:
        """Where the switches stand. Looks at the file, and reads it if it is another one."""
        try:
            found = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            if self._stamp is not None:
                self._stamp, self._switches, self._damaged = None, Switches(), False
            return self._switches
        except OSError as error:  # what was read of it before may be right all the same
            return self._held_because(error.strerror or str(error))
        stamp = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            try:
                content = read_file(self._path, _LARGEST)
            except OSError as error:  # no more of it is remembered: it may be read the next time, and look the same
                return self._unreadable(error.strerror or str(error))
            self._stamp, self._switches = stamp, self._understood(content)
        return self._switches

    def held(self) -> str:
        """Why nothing may be ended now; empty when it may."""
        return self.now().held(self.moment())

    def moment(self) -> Moment:
        """What time it is, as switches count it."""
        return clocks.now(self._boot)

    def state(self) -> dict[str, object]:
        """Where they stand, as ``sentinel status`` shows it."""
        now, held = self.now(), self.held()
        until = now.pause.ends(self.moment()) if held and now.pause is not None and now.breaker is None else None
        return {"held": held, "held_until": until, "kept": len(now.kept), "switch_trouble": self.trouble}

    def applied_to(self, policy: Policy) -> Policy:
        """The same wishes, with what is held now."""
        return replace(policy, held=why) if (why := self.held()) else policy

    def change(self, change: Change) -> Switches:
        """Have the switches changed, in the file and at once.

        What cannot be written holds in memory, and ``trouble`` says so. A file that cannot be
        understood is set aside, and the pause that it brought stays.
        """
        self.trouble = ""
        try:
            with self._turn():
                before = self.now()
                self._switches = after = change(before)
                if after != before:
                    self._write(after)
        except OSError as error:
            after = self._switches = change(self._switches)
            self.trouble = f"{self._path} cannot be written: {error.strerror or error}"
        return after

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Be the only writer. The lock is on the directory: the file is another one after each write."""
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not lock(directory, fcntl.LOCK_EX, deadline=time.monotonic() + _PATIENCE, pause=_PAUSE):
                raise TimeoutError(0, "another process keeps it locked")
            yield
        finally:
            os.close(directory)

    def _write(self, switches: Switches) -> None:
        if self._damaged:
            set_aside(self._path)
            self._damaged = False
        replace_file(self._path, encode(_File(_VERSION, self._boot, switches)) + b"\n", sync=True)
        found = os.stat(self._path, follow_symlinks=False)
        self._stamp = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)

    def _understood(self, content: bytes) -> Switches:
        self._damaged = False
        try:
            said = msgspec.json.decode(content, type=_File)
        except (msgspec.MsgspecError, RecursionError) as error:
            return self._unreadable(str(error))
        if said.version != _VERSION:
            return self._unreadable(f"it is of version {said.version}, and this Sentinel knows {_VERSION}")
        for halt in filter(None, (said.switches.pause, said.switches.breaker)):
            if not halt.why or not all(0 <= at <= _LATEST for at in (halt.since, halt.until or 0.0, halt.up)):
                return self._unreadable("something is held for no reason, or until no day that a calendar has")
        return said.switches if said.boot == self._boot else replace(said.switches, kept=())

    def _unreadable(self, why: str) -> Switches:
        self._damaged = True
        return self._held_because(why)

    def _held_because(self, why: str) -> Switches:
        sentence = f"nobody can tell what was to be kept: {self._path} cannot be understood ({clean(why)})"
        return Switches(pause=Halt(time.time(), sentence))
