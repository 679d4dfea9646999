"""Checks of what Sentinel keeps for itself and others write to: the registry, the spool of hooks, the marks of runs."""

from __future__ import annotations

import os
import shlex
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from sentinel import instance
from sentinel.core.facts import Gone
from sentinel.core.sentences import count
from sentinel.doctor.check import CouldNotCheck, Trouble
from sentinel.doctor.patient import Patient
from sentinel.errors import SentinelError
from sentinel.hook import ROOM
from sentinel.observe import processes
from sentinel.registry.errors import RegistryBusy, RegistryDamaged, TooNew
from sentinel.runs import illegible
from sentinel.service.installed import how_to_start, how_to_start_anew
from sentinel.sources.spool import NAME

_PATIENCE = 0.5
"""Seconds to wait for others who work with the registry: within the deadline of a check."""
_AT_ONCE = 5.0
"""Seconds within which an agent that runs has read what was left."""
_NOTHING_LOST = "sessions that an agent recognises are watched all the same; none can register"
_LOST = "what a hook cannot leave there is lost, when no agent hears it"


def registry(patient: Patient) -> Iterator[Trouble]:
    """Whether sessions can register. A registry that is not there is made when the first one does."""
    path = patient.where.registry
    if not os.path.lexists(path):
        return
    try:
        _read_all_of(path)
    except RegistryBusy as error:
        raise CouldNotCheck(str(error)) from error
    except RegistryDamaged as error:
        mend = "have it made anew from the history: sentinel session list"
        yield Trouble("the registry is damaged", (str(error), _NOTHING_LOST), hint=mend)
    except TooNew as error:
        yield Trouble("a later Sentinel has written the registry", (str(error), _NOTHING_LOST), hint="upgrade Sentinel")
    except SentinelError as error:
        yield Trouble("the registry cannot be read", (str(error), _NOTHING_LOST), hint=_again(path))
    else:
        if not os.access(path, os.W_OK):
            yield Trouble("the registry cannot be written", (f"{path} is read-only", _NOTHING_LOST), hint=_again(path))


def _read_all_of(path: Path) -> None:
    """Raises a ``SentinelError`` that says what is wrong. Changes nothing but the lock that all take."""
    from sentinel.registry.rebuild import turn  # with SQLite: what needs neither does not wait for them
    from sentinel.registry.store import Store

    with turn(path.with_suffix(".lock"), _PATIENCE), Store(path, patience=_PATIENCE, writes=False) as store:
        store.check()


def _again(path: Path) -> str:
    if path.is_file() and not path.is_symlink():
        return f"chmod u+rw {shlex.quote(str(path))}"
    return f"move {shlex.quote(str(path))} away: another is made when a session registers"


def spool(patient: Patient) -> Iterator[Trouble]:
    """Whether hooks of coding agents can leave their words, and whether these are read."""
    path, agent = patient.where.spool, instance.look(patient.where).condition
    runs = agent is instance.Condition.RUNNING
    try:
        found = path.lstat()
    except FileNotFoundError:
        if runs:  # without one, the first hook makes it
            yield Trouble("the spool of the hooks is gone", (f"there is no {path}", _LOST), hint=how_to_start_anew())
        return
    if wrong := _closed(path, found):
        yield Trouble("hooks cannot leave anything in their spool", (wrong, _LOST), hint=_opening(path, found))
        return
    names = os.listdir(path)
    calls = sorted(name for name in names if NAME.fullmatch(name))
    if strange := [name for name in names if name.endswith(".json") and not name.startswith(".") and name not in calls]:
        evidence: tuple[str, ...] = (
            f"{count(len(strange), 'file')} in {path} came from no hook: {min(strange)}{', ...' * (len(strange) > 1)}",
            f"{ROOM} files are kept there, and calls go first",
        )
        yield Trouble("the spool of the hooks holds what nobody reads", evidence, hint=f"move them out of {path}")
    if runs and calls and _age(calls[0]) > _AT_ONCE:
        evidence = (f"{count(len(calls), 'call')} in {path}, the oldest for {_age(calls[0]):.0f} s",)
        yield Trouble("the agent does not read what hooks have left", evidence, hint=how_to_start_anew())
    elif not runs and len(calls) >= ROOM:
        evidence = (f"{count(len(calls), 'call')} in {path}: for each new one the oldest goes",)
        yield Trouble("the spool of the hooks is full", evidence, hint=f"start the agent: {how_to_start()}")


def runs(patient: Patient) -> Iterator[Trouble]:
    """Marks of `sentinel run` that nobody understands. What is left by one that has ended went with our look."""
    for pid, path in illegible(patient.where.runtime):
        what, remove = f"the mark {path} of a `sentinel run` cannot be read", shlex.quote(str(path))
        if isinstance(processes.identify(pid), Gone):
            yield Trouble(
                what, (f"process {pid} has ended, and the mark could not be removed",), hint=f"rm -r {remove}"
            )
        elif path.suffix == ".json":  # the other kind is being written
            evidence = (
                f"process {pid} lives, and may be the one that has left it",
                "that run is not watched then; another version of Sentinel may have begun it",
            )
            yield Trouble(what, evidence, hint=f"if process {pid} is no `sentinel run`: rm {remove}")


def _closed(path: Path, found: os.stat_result) -> str:
    """Why hooks refuse the spool, as ``hook.tell`` does; empty when they do not."""
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is not a directory"
    if found.st_uid != os.geteuid():
        return f"{path} belongs to another user (uid {found.st_uid})"
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        return f"{path} is open to other users (mode {mode:04o})"
    return "" if mode & stat.S_IRWXU == stat.S_IRWXU else f"{path} cannot be written (mode {mode:04o})"


def _opening(path: Path, found: os.stat_result) -> str:
    where = shlex.quote(str(path))
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
        return f"chmod 700 {where}"
    return f"move {where} away: another is made"


def _age(call: str) -> float:
    name = NAME.fullmatch(call)
    return time.time() - int(name["at"]) / 1e9 if name else 0.0
