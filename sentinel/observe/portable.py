"""The same questions answered by psutil, for systems without /proc.

macOS tells less: no environment of hardened programs, no signal masks, no session ids by
psutil. What it does not tell is ``Unknown`` or a value that spares.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection

import psutil

from sentinel.core.facts import Above, Gone, ProcessFacts, ProcessId, Stdio, Unknown

_STATES = {
    psutil.STATUS_ZOMBIE: "Z",
    psutil.STATUS_DEAD: "X",
    psutil.STATUS_STOPPED: "T",
    psutil.STATUS_TRACING_STOP: "t",
    psutil.STATUS_RUNNING: "R",
}
_MICROSECONDS = 1_000_000


def _process(pid: int) -> psutil.Process:
    if pid < 0:  # psutil calls that a mistake of its caller; here a pid may come from anywhere
        raise psutil.NoSuchProcess(pid)
    return psutil.Process(pid)


def boot_id() -> str:
    """The moment of boot: macOS has no random id that psutil could tell."""
    return f"boot-{int(psutil.boot_time())}"


def identify(pid: int) -> ProcessId | Gone | Unknown:
    """Who has this pid now."""
    try:
        return ProcessId(pid, round(_process(pid).create_time() * _MICROSECONDS))
    except psutil.NoSuchProcess:
        return Gone()
    except psutil.Error as error:
        return Unknown(f"what process {pid} is", str(error))


def look(pid: int) -> ProcessFacts | Gone | Unknown:
    """What psutil and POSIX tell of a process."""
    try:
        process = _process(pid)
        with process.oneshot():
            return ProcessFacts(
                id=ProcessId(pid, round(process.create_time() * _MICROSECONDS)),
                parent=process.ppid(),
                group=os.getpgid(pid),
                session=os.getsid(pid),
                terminal=1 if process.terminal() else 0,
                state=_STATES.get(process.status(), "S"),
                name=process.name(),
                uid=process.uids().effective,
            )
    except (psutil.NoSuchProcess, ProcessLookupError):
        return Gone()
    except (psutil.Error, OSError) as error:
        return Unknown(f"what process {pid} is", str(error))


def above(pid: int) -> Above | Gone | Unknown:
    """A process as a link of a chain of parents."""
    facts = look(pid)
    return Above(facts.id, facts.parent, facts.name, facts.dead) if isinstance(facts, ProcessFacts) else facts


def children(pid: int) -> list[int] | Unknown:
    """The pids of its children now."""
    try:
        return [child.pid for child in _process(pid).children()]
    except psutil.Error as error:
        return Unknown(f"which children process {pid} has", str(error))


def stdio(pid: int) -> Stdio | Unknown:
    """Where descriptors 0, 1 and 2 lead: psutil does not tell of terminals and pipes."""
    return Unknown(f"where the input and output of process {pid} lead", "this system does not tell")


def comm(pid: int) -> str:
    """What the system calls it; empty when it is gone."""
    facts = look(pid)
    return facts.name if isinstance(facts, ProcessFacts) else ""


def population(uid: int, enough: int) -> int:
    """How many processes of that user there are, counted up to ``enough``; 0 where nobody can tell."""
    pids = everyone()
    owned = (pid for pid in pids if owner(pid) == uid) if isinstance(pids, list) else iter(())
    return sum(1 for _ in itertools.islice(owned, enough))


def owner(pid: int) -> int | None:
    """Uid of the process, None when it is gone or hidden."""
    facts = look(pid)
    return facts.uid if isinstance(facts, ProcessFacts) else None


def ticks_per_second() -> int:
    """The unit of ``ProcessId.start`` here."""
    return _MICROSECONDS


def in_foreground(pid: int) -> bool | Unknown:
    """The system knows (e_tpgid), and psutil does not ask it."""
    return Unknown(f"where process {pid} runs", "psutil cannot ask the system")


def only_forked(_: int) -> bool | Unknown:
    """The system knows (P_EXEC), and psutil does not ask it: nobody counts as a copy of its parent."""
    return False


def program(pid: int) -> tuple[str, tuple[str, ...]] | Unknown:
    """Path of the executable and the arguments."""
    try:
        process = _process(pid)
        return process.exe(), tuple(process.cmdline())
    except psutil.Error as error:
        return Unknown(f"what process {pid} runs", str(error))


def working_directory(pid: int) -> str:
    """Where it works; empty when that cannot be read."""
    try:
        return _process(pid).cwd()
    except psutil.Error:
        return ""


def environment(pid: int, name: str) -> str | Unknown:
    """One variable of its environment; empty when it has none of that name."""
    found = variables(pid, (name,))
    return found if isinstance(found, Unknown) else found.get(name, "")


def variables(pid: int, names: Collection[str]) -> dict[str, str] | Unknown:
    """Those of these variables that its environment has. Hardened programs of macOS show none: unknown."""
    try:
        found = _process(pid).environ()
    except (psutil.Error, OSError) as error:
        return Unknown(f"the environment of process {pid}", str(error))
    if not found:
        return Unknown(f"the environment of process {pid}", "the system shows none")
    return {name: found[name] for name in names if name in found}


def catches(pid: int, number: int) -> bool | Unknown:
    """Whether it has a handler for a signal."""
    return Unknown(f"whether process {pid} catches signal {number}", "this system does not tell")


def memory(pid: int) -> int:
    """Bytes that it has in memory, shared ones included; 0 when that cannot be read."""
    try:
        return int(_process(pid).memory_info().rss)
    except (psutil.Error, OSError):
        return 0


def everyone() -> list[int] | Unknown:
    """Every pid that can be seen."""
    try:
        return psutil.pids()
    except (psutil.Error, OSError) as error:
        return Unknown("which processes there are", str(error))
