"""Checks of Sentinel itself, and of what it needs from the machine."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import sys
from collections.abc import Iterator

from sentinel import __version__, client, instance, paths, wire
from sentinel.doctor.check import CouldNotCheck, Trouble
from sentinel.doctor.patient import Patient
from sentinel.errors import NotRunning
from sentinel.service.installed import how_to_start, how_to_start_anew

_PATIENCE = 0.7
"""Seconds to wait for an answer: within the deadline of a check, to say who did not give one."""
_INOTIFY = "/proc/sys/fs/inotify"
_FEW_WATCHES = 8192
"""What kernels before 5.11 allow, and what one editor can use up."""
_FEW_DESCRIPTORS = 4096
"""One is held per watched process."""
_LITTLE_SPACE = 16 << 20
"""Bytes: two files of the journal."""
_NO_RECORD = "nothing is ended that cannot be recorded"
_IN_CLOEXEC = os.O_CLOEXEC  # IN_CLOEXEC of sys/inotify.h is the same number


def agent(patient: Patient) -> Iterator[Trouble]:
    """Whether an agent runs, and how well it hears."""
    state = instance.look(patient.where)
    match state.condition:
        case instance.Condition.UNKNOWN:
            raise CouldNotCheck(state.why)
        case instance.Condition.STOPPED | instance.Condition.CRASHED:
            died = state.condition is instance.Condition.CRASHED
            what = f"the agent (pid {state.pid}) has died without a word" if died else "no agent runs"
            yield Trouble(what, ("nothing that dies now is cleaned up after",), hint=f"start it: {how_to_start()}")
            return
    try:
        told = client.ask(patient.where.inbox, wire.Status(), _PATIENCE)
    except NotRunning as error:
        raise CouldNotCheck(f"the agent (pid {state.pid}) holds its lock, but {error}") from error
    if isinstance(told, dict):
        yield from _shortcomings(told)


def _shortcomings(told: dict[str, object]) -> Iterator[Trouble]:
    if why := told.get("safe"):
        yield Trouble("the agent is in safe mode, and ends nothing", (str(why),), hint="sentinel service restart")
    elif why := told.get("why_not_better"):
        yield Trouble(f"the agent hears of births and deaths by {told.get('source')} only", (str(why),))
    if (version := told.get("version")) != __version__:
        evidence = (f"it is {version}, this is {__version__}",)
        yield Trouble("the agent that runs is of another version", evidence, hint=how_to_start_anew())
    for key in ("trouble", "switch_trouble"):
        if why := told.get(key):
            yield Trouble(
                "what the agent does is not written down", (str(why),), hint="make room, or the place writable"
            )
    if why := told.get("unwatched"):
        yield Trouble("a tmux server is not watched", (str(why),))
    if why := told.get("refused"):
        yield Trouble("the configuration is wrong, and the one before it holds", (str(why),), hint="mend that line")
    if why := told.get("held"):
        yield Trouble("the agent ends nothing", (str(why),), hint="go on: sentinel resume")


def configuration(patient: Patient) -> Iterator[Trouble]:
    """Whether the configuration on the disk can be used, whatever the agent goes by."""
    if patient.refused:
        evidence = (patient.refused, "what is checked here is checked by the defaults, and --fix changes nothing")
        yield Trouble("the configuration cannot be used", evidence, hint="mend that line; sentinel doctor tells again")


def limits(_: Patient) -> Iterator[Trouble]:
    """Whether there are enough watches, watchers and descriptors."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < _FEW_DESCRIPTORS:
        evidence = (f"RLIMIT_NOFILE is {hard}, and one is held per watched process",)
        yield Trouble("few files may be open at once", evidence, hint="raise `nofile` in /etc/security/limits.conf")
    if sys.platform != "linux":
        return
    watches = _number(f"{_INOTIFY}/max_user_watches")
    if watches < _FEW_WATCHES:
        evidence = (f"fs.inotify.max_user_watches is {watches}: editors and dev servers use them up",)
        yield Trouble("few directories may be watched", evidence, hint="sudo sysctl fs.inotify.max_user_watches=524288")
    if (why := _refused_inotify()) is not None:
        instances = _number(f"{_INOTIFY}/max_user_instances")
        evidence = (f"inotify_init1: {os.strerror(why)}; fs.inotify.max_user_instances is {instances}",)
        yield Trouble("no directory can be watched", evidence, hint="sudo sysctl fs.inotify.max_user_instances=1024")


def _number(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError) as error:
        raise CouldNotCheck(f"{path}: {error}") from error


def _refused_inotify() -> int | None:
    """The error with which the kernel refuses one more watcher; None when it grants one."""
    fd = ctypes.CDLL(None, use_errno=True).inotify_init1(_IN_CLOEXEC)
    if fd < 0:
        return ctypes.get_errno() or errno.EMFILE
    os.close(fd)
    return None


def places(patient: Patient) -> Iterator[Trouble]:
    """Whether the journal can be written, for a while."""
    if why := paths.refusal(patient.where):
        yield Trouble("a directory is not Sentinel's alone, so no agent starts", (why,))
        return
    # What is not there is made by who writes first.
    state = next(each for each in (patient.where.state, *patient.where.state.parents) if each.exists())
    if not os.access(state, os.W_OK | os.X_OK):
        yield Trouble(f"{state} cannot be written", (_NO_RECORD,), hint=f"chmod u+wx {state}")
        return
    room = os.statvfs(state)
    free = room.f_bavail * room.f_frsize
    if free < _LITTLE_SPACE:
        evidence = (f"{free >> 20} MiB are free: {_NO_RECORD}",)
        yield Trouble(f"there is hardly any room in {state}", evidence, hint="make room")
