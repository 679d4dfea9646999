"""Who holds a lock, and whether that one lives: by identity, never by age."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from sentinel.core.facts import Gone, ProcessId, Unknown
from sentinel.core.sanitise import clean
from sentinel.observe import locks, place, processes


@dataclass(frozen=True, slots=True)
class Holder:
    """What a lock file says."""

    pid: int
    start: int
    """The kernel's start time, see ``ProcessId``; 0 when whoever wrote the file did not know it."""
    boot: str = ""
    host: str = ""
    namespace: int = 0
    """Inode of the pid namespace in which ``pid`` is its number; 0 where there are none."""
    session: str = ""
    since: float = 0.0
    """Wall-clock seconds since the epoch."""
    machine: str = ""
    """See ``place.machine``: names of machines are not unique, and file systems may be shared."""

    @classmethod
    def of(cls, pid: int, *, session: str = "", since: float = 0.0) -> Holder:
        """Describe a living process as a holder.

        Raises:
            ProcessLookupError: There is no such process, or nobody can tell who it is.
        """
        who = processes.identify(pid)
        if not isinstance(who, ProcessId):
            why = who if isinstance(who, Unknown) else "it has ended"
            raise ProcessLookupError(f"process {pid} cannot hold a lock: {why}")
        where = place.host(), place.pid_namespace()
        return cls(pid, who.start, processes.boot_id(), *where, session, since, place.machine())

    def __str__(self) -> str:
        session = f", session {clean(self.session)}" if self.session else ""
        return f"process {self.pid}{session}"

    def is_local(self) -> bool:
        """Whether its number is known to be one of this machine and of this pid namespace.

        A number alone may be one of a container. When it is that of a zombie or a thread here it
        was a process here; when it is nobody's, it may never have been.
        """
        if self.boot or self.host:
            return not self.namespace or self.namespace == place.pid_namespace()
        return not isinstance(processes.above(self.pid), (Gone, Unknown))

    def ended(self) -> bool | Unknown:
        """Whether it has ended. True is a proof; what cannot be proven is ``Unknown``."""
        question = f"whether process {self.pid} still holds it"
        if self.host and self.host != place.host():
            return Unknown(question, f"it is on another machine ({clean(self.host)})")
        if self.boot and self.boot != processes.boot_id():
            if not self.machine or self.machine != place.machine():
                return Unknown(question, "it is of another boot, and perhaps of another machine of this name")
            return True  # of this machine, before it was started anew
        if self.namespace and self.namespace != place.pid_namespace():
            return Unknown(question, "its number belongs to another pid namespace")
        return _gone(self.pid, self.start)


def _gone(pid: int, start: int) -> bool | Unknown:
    now = processes.above(pid)
    if isinstance(now, Gone):
        return True
    if isinstance(now, Unknown):
        return now
    if (start and now.id.start != start) or locks.is_thread(pid):
        return True
    return now.dead


def decode(content: bytes) -> Holder | None:
    """What a lock file of ours says; None when it is none, or cut short."""
    try:
        return msgspec.json.decode(content, type=Holder)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def encode(holder: Holder) -> bytes:
    """The content of a lock file, one line."""
    return msgspec.json.encode(holder) + b"\n"
