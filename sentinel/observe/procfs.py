"""What a process is, read from /proc: one costs 25 us, with psutil 135 us."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from functools import cache

from sentinel.core.facts import SIGHUP_BIT, Above, Gone, ProcessFacts, ProcessId, Stdio, Unknown
from sentinel.observe.threads import field, state_of_others

_KERNEL_THREAD = 0x00200000  # PF_KTHREAD of include/linux/sched.h
_FORKED_ONLY = 0x00000040  # PF_FORKNOEXEC of the same
_ARGUMENTS, _ENVIRONMENT = "cmdline", "environ"
_BOUNDS = {_ARGUMENTS: 45, _ENVIRONMENT: 47}
"""Where behind the name in /proc/PID/stat it stands where the arguments and the environment begin and end (proc(5))."""
_END_OF_CODE = 24
"""And where the program's code ends."""
_LOOKS = 3
"""At one that shows no thread at all. Where another than the first replaces the program (execve(2)), it takes the first
one's number; who asks just then reads of that one, which is no process any more and has no parent and no signals."""
_ENOUGH = 8192
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _read(path: str, limit: int = _ENOUGH) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


@cache
def boot_id() -> str:
    """Names this boot of the machine. Identities of another boot say nothing here."""
    return _read("/proc/sys/kernel/random/boot_id").decode("ascii").strip()


@cache
def ticks_per_second() -> int:
    """The unit of ``ProcessId.start`` on Linux."""
    return os.sysconf("SC_CLK_TCK")


class _Stat:
    """The fields of /proc/PID/stat that are used. The name may hold anything, also ``)``."""

    __slots__ = (
        "flags",
        "foreground",
        "group",
        "memory",
        "name",
        "parent",
        "session",
        "start",
        "state",
        "terminal",
        "threads",
    )

    def __init__(self, raw: bytes) -> None:
        opened, closed = raw.index(b"("), raw.rindex(b")")
        self.name = raw[opened + 1 : closed].decode("utf-8", "surrogateescape")
        fields = raw[closed + 2 :].split(b" ", 22)
        self.state = fields[0].decode("ascii")
        self.parent, self.group, self.session, self.terminal = (int(each) for each in fields[1:5])
        self.foreground = int(fields[5])
        self.flags = int(fields[6])
        self.threads = int(fields[17])
        self.start = int(fields[19])
        self.memory = int(fields[21]) * _PAGE


def identify(pid: int) -> ProcessId | Gone | Unknown:
    """Who has this pid now. A zombie still has it."""
    stat = _stat(pid)
    return ProcessId(pid, stat.start) if isinstance(stat, _Stat) else stat


def _stat(pid: int) -> _Stat | Gone | Unknown:
    try:
        for _ in range(_LOOKS):
            stat = _Stat(_read(f"/proc/{pid}/stat"))
            if stat.threads:
                return stat
        return Unknown(f"what process {pid} is", "it is handed from one of its threads to another")
    except (FileNotFoundError, ProcessLookupError):
        return Gone() if os.path.exists("/proc/self") else Unknown(f"what process {pid} is", "/proc is not there")
    except (OSError, ValueError, IndexError) as error:
        return Unknown(f"what process {pid} is", str(error))


def look(pid: int) -> ProcessFacts | Gone | Unknown:
    """Everything the guards want to know of a process, but for its descriptors.

    Two files are read one after the other: only a handle that is still open afterwards
    proves that both spoke of the same process (see ``handles``).
    """
    stat = _stat(pid)
    if not isinstance(stat, _Stat):
        return stat
    try:
        raw = _status(pid)
    except (FileNotFoundError, ProcessLookupError):
        return Gone()
    except OSError as error:
        return Unknown(f"what process {pid} is", str(error))
    try:
        tracer = int(field(raw, b"TracerPid"))
        if stat.state in "ZX" and stat.threads > 1 and (others := state_of_others(pid)) is not None:
            stat.state, tracer = others
        return _facts(
            pid,
            stat,
            uid=int(field(raw, b"Uid").split()[1]),
            tracer=tracer,
            ignored=bool(int(field(raw, b"SigIgn"), 16) & SIGHUP_BIT),
            caught=bool(int(field(raw, b"SigCgt"), 16) & SIGHUP_BIT),
            pending=bool(int(field(raw, b"ShdPnd"), 16) & ~int(field(raw, b"SigBlk"), 16) & SIGHUP_BIT),
            foreign=len(field(raw, b"NSpid").split()) > 1,
        )
    except (ValueError, IndexError):
        if stat.state in "ZX":  # nothing more is asked of the dead
            return _facts(pid, stat, uid=-1)
        return Unknown(f"what process {pid} is", "its status file has another form")


def _status(pid: int) -> bytes:
    for _ in range(_LOOKS):
        raw = _read(f"/proc/{pid}/status")
        if b"\nThreads:\t0\n" not in raw:
            return raw
    raise BlockingIOError(errno.EAGAIN, "it is handed from one of its threads to another")


def catches(pid: int, number: int) -> bool | Unknown:
    """Whether it has a handler for a signal."""
    try:
        return bool(int(field(_status(pid), b"SigCgt"), 16) >> (number - 1) & 1)
    except (OSError, ValueError) as error:
        return Unknown(f"which signals process {pid} catches", str(error))


def _facts(
    pid: int,
    stat: _Stat,
    *,
    uid: int,
    tracer: int = 0,
    ignored: bool = False,
    caught: bool = False,
    pending: bool = False,
    foreign: bool = False,
) -> ProcessFacts:
    return ProcessFacts(
        id=ProcessId(pid, stat.start),
        parent=stat.parent,
        group=stat.group,
        session=stat.session,
        terminal=stat.terminal,
        state=stat.state,
        name=stat.name,
        uid=uid,
        tracer=tracer,
        hangup_ignored=ignored,
        hangup_caught=caught,
        hangup_pending=pending,
        foreign_namespace=foreign,
        kernel_thread=bool(stat.flags & _KERNEL_THREAD),
        memory=stat.memory,
    )


def above(pid: int) -> Above | Gone | Unknown:
    """A process as a link of a chain of parents: who it is and who its parent is."""
    stat = _stat(pid)
    if not isinstance(stat, _Stat):
        return stat
    dead = stat.state in "ZX" and stat.threads <= 1  # else its first thread has ended, and others go on
    return Above(ProcessId(pid, stat.start), stat.parent, stat.name, dead)


def stdio(pid: int) -> Stdio | Unknown:
    """Where descriptors 0, 1 and 2 lead. A closed one leads nowhere."""
    terminal = pipe = False
    for fd in range(3):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        except OSError as error:
            return Unknown(f"where the input and output of process {pid} lead", str(error))
        terminal |= target.startswith(("/dev/pts/", "/dev/tty", "/dev/console"))
        pipe |= target.startswith(("pipe:", "socket:"))
    return Stdio(terminal, pipe)


def comm(pid: int) -> str:
    """What the kernel calls it; empty when it is gone. The cheapest look there is (6 us)."""
    try:
        return _read(f"/proc/{pid}/comm", 64)[:-1].decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def in_foreground(pid: int) -> bool | Unknown:
    """Whether it is what its terminal attends to now; not so where it has none."""
    stat = _stat(pid)
    if not isinstance(stat, _Stat):
        return stat if isinstance(stat, Unknown) else Unknown(f"where process {pid} runs", "it has ended")
    return stat.terminal != 0 and stat.group == stat.foreground


def only_forked(pid: int) -> bool | Unknown:
    """Whether it still runs the program that it was born with: a copy of its parent."""
    stat = _stat(pid)
    if not isinstance(stat, _Stat):
        return stat if isinstance(stat, Unknown) else Unknown(f"what process {pid} runs", "it has ended")
    return bool(stat.flags & _FORKED_ONLY)


def program(pid: int) -> tuple[str, tuple[str, ...]] | Unknown:
    """Path of the executable and the arguments; only for processes of our own user."""
    try:
        exe = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
        raw = _read_of_image(pid, _ARGUMENTS, 65536)
    except OSError as error:
        return Unknown(f"what process {pid} runs", str(error))
    return exe, tuple(part.decode("utf-8", "surrogateescape") for part in raw.split(b"\0")[:-1])


def working_directory(pid: int) -> str:
    """Where it works; empty when that cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def environment(pid: int, name: str) -> str | Unknown:
    """One variable of its environment as it was at exec; empty when it has none of that name."""
    found = variables(pid, (name,))
    return found if isinstance(found, Unknown) else found.get(name, "")


def variables(pid: int, names: Collection[str]) -> dict[str, str] | Unknown:
    """Those of these variables that its environment had at exec. Of one that is there twice, the first."""
    try:
        raw = _read_of_image(pid, _ENVIRONMENT, 1 << 20)
    except OSError as error:
        return Unknown(f"the environment of process {pid}", str(error))
    found: dict[str, str] = {}
    for entry in raw.decode("utf-8", "surrogateescape").split("\0"):
        name, equals, value = entry.partition("=")
        if equals and name in names:
            found.setdefault(name, value)
    return found


def _read_of_image(pid: int, name: str, limit: int) -> bytes:
    raw = _read(f"/proc/{pid}/{name}", limit)
    if not raw:
        _ensure_empty(f"/proc/{pid}", name)
    return raw


def ensure_no_environment(directory: str) -> None:
    """Make sure of a process that has shown no environment that it has none.

    Within execve(2) the kernel shows none for some 20 us, nor any arguments: the new image is there
    already, and what it was given is not (``environ_read`` and ``get_mm_cmdline`` of fs/proc/base.c).
    The longer there is to count, the longer they begin and end at the same place. Only then
    it is written down where the code ends (``load_elf_binary`` of fs/binfmt_elf.c).

    Args:
        directory: Of the process, or of one of its threads, below /proc.

    Raises:
        OSError: It is replacing its program, or has ended.
    """
    _ensure_empty(directory, _ENVIRONMENT)


def _ensure_empty(directory: str, name: str) -> None:
    raw = _read(f"{directory}/stat")
    fields = raw[raw.rindex(b")") + 2 :].split()
    start, end = fields[_BOUNDS[name]], fields[_BOUNDS[name] + 1]
    if start != end or b"0" in (start, fields[_END_OF_CODE]):
        raise BlockingIOError(errno.EAGAIN, "it is replacing its program, or has ended")


def memory(pid: int) -> int:
    """Bytes that it has in memory, shared ones included; 0 when that cannot be read."""
    try:
        return int(_read(f"/proc/{pid}/statm", 128).split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def everyone() -> list[int] | Unknown:
    """Every pid that can be seen."""
    try:
        return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    except OSError as error:
        return Unknown("which processes there are", str(error))


def population(uid: int, enough: int) -> int:
    """How many processes of that user there are, counted up to ``enough``.

    To count them all takes milliseconds where there are thousands. None are seen where /proc
    cannot be read.
    """
    found = 0
    try:
        with os.scandir("/proc") as entries:
            for entry in entries:
                found += entry.name.isdigit() and owner(int(entry.name)) == uid
                if found >= enough:
                    break
    except OSError:
        return 0
    return found


def owner(pid: int) -> int | None:
    """Uid of the process, None when it is gone or hidden."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
