"""A damaged registry is set aside, and a new one made of what the journal and the kernel tell.

Whoever works with the registry holds its lock for as long as one operation takes, together
with all others; who mends it holds it alone. So nobody has the file in hand while it is
exchanged, and of many who find the same damage one mends it. The new file is complete before
it gets the name.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentinel import atomic
from sentinel.core.events import ChildNamed, RegistrationEnded, RegistryRebuilt, SessionRegistered
from sentinel.core.facts import ProcessId
from sentinel.core.sanitise import clean
from sentinel.errors import SentinelError
from sentinel.history import History, Record
from sentinel.records import PREFIX
from sentinel.registry.entries import REPLACED, Child, Entry, Place, Proof, Status
from sentinel.registry.errors import RegistryBusy, RegistryDamaged, RegistryUnusable

if TYPE_CHECKING:
    from sentinel.registry.store import Store

_PAUSE = 0.005
_BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside the file. The write-ahead log of one database must never lie beside another."""


@contextmanager
def turn(lock: Path, patience: float, *, alone: bool = False) -> Iterator[None]:
    """Hold the registry's lock: with others to work with it, alone to exchange it.

    Raises:
        RegistryBusy: Nobody let us within ``patience`` seconds.
        RegistryUnusable: The lock file cannot be opened.
    """
    try:
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RegistryUnusable(f"{lock}: {error.strerror}") from error
    try:
        how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        if not atomic.lock(fd, how, deadline=time.monotonic() + patience, pause=_PAUSE):
            raise RegistryBusy(f"{lock} was held by another process for {patience:g} s: try again")
        yield
    finally:
        os.close(fd)


def mend(
    path: Path,
    lock: Path,
    journal: Path,
    *,
    open_store: Callable[[Path], Store],
    is_over: Callable[[Entry], str],
    lives: Callable[[ProcessId], bool],
    patience: float,
) -> RegistryRebuilt | None:
    """Exchange a damaged registry for one that is rebuilt. None: another process has done so already.

    Args:
        path: The registry.
        lock: Its lock file.
        journal: What happened.
        open_store: Opens a registry, or says what is wrong with it.
        is_over: Why a session that the journal tells of must have ended; empty when it may live.
        lives: Whether a process lives.
        patience: Seconds to wait for those who work with it.

    Raises:
        RegistryBusy: They did not let go of it.
        RegistryUnusable: The new one cannot be written.
    """
    with turn(lock, patience, alone=True):
        damage = _damage(path, open_store)
        if not damage:
            return None
        entries, trouble = _told_by(journal)
        found = [_as_of_now(entry, is_over, lives) for entry in entries]
        fresh = path.with_name(f"{path.name}.new")
        try:
            _remove(fresh)
            with open_store(fresh) as store:
                for entry in found:
                    store.restore(entry)
            aside = _exchange(path, fresh)
        except OSError as error:
            raise RegistryUnusable(f"{path} is damaged and cannot be exchanged: {error.strerror}") from error
    active = sum(entry.status is Status.ACTIVE for entry in found)
    return RegistryRebuilt(damage, str(aside), active, len(found) - active, trouble)


def _damage(path: Path, open_store: Callable[[Path], Store]) -> str:
    """What is wrong with the file; empty when it is in order by now."""
    try:
        with open_store(path) as store:
            store.check()
    except RegistryDamaged as error:
        return str(error)
    return ""


def _exchange(path: Path, fresh: Path) -> Path:
    """Put the new registry in the place of the damaged one, which keeps another name. Returns that."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    number = 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{stamp}-{number}")
    for suffix in _BESIDE:
        with suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{aside}{suffix}")
    os.link(path, aside, follow_symlinks=False)
    os.replace(fresh, path)
    return aside


def _remove(fresh: Path) -> None:
    """Take away what one left that was killed while it rebuilt."""
    for suffix in ("", *_BESIDE):
        with suppress(FileNotFoundError):
            os.unlink(f"{fresh}{suffix}")


# -- the journal, replayed ---------------------------------------------------------


def _told_by(journal: Path) -> tuple[list[Entry], str]:
    """What the journal tells of registered sessions, and why not all of it could be read."""
    entries: dict[tuple[str, int], Entry] = {}
    history = History(journal)
    try:
        for told in history.read():
            if (apply := _TOLD.get(str(told.record.get("type")))) is not None:
                with suppress(KeyError, TypeError, ValueError):  # not what this version writes
                    apply(entries, told.record)
    except SentinelError as error:
        return list(entries.values()), clean(str(error))
    finally:
        history.close()
    return list(entries.values()), ""


def _registered(entries: dict[tuple[str, int], Entry], record: Record) -> None:
    data = _data(record)
    at, labels = float(data["at"]), {str(name): str(value) for name, value in data["labels"].items()}
    place = Place(str(data["host"]), str(data["boot"]), int(data["namespace"]))
    entry = Entry(
        str(data["session"]), int(data["generation"]), str(data["kind"]), str(data["name"]), str(data["project"]),
        labels, place, _identity(data["root"]), Status.ACTIVE, at, at, int(str(record["monons"])) / 1e9,
    )  # fmt: skip
    for key, other in entries.items():
        if key[0] == entry.id and other.status is Status.ACTIVE and other.generation != entry.generation:
            entries[key] = replace(other, status=Status.ENDED, ended=at, why=REPLACED)
    before = entries.get((entry.id, entry.generation))
    entries[entry.id, entry.generation] = entry if before is None else replace(entry, children=before.children)


def _child(entries: dict[tuple[str, int], Entry], record: Record) -> None:
    data = _data(record)
    key, who = (str(data["session"]), int(data["generation"])), _identity(data["process"])
    entry = entries[key]
    others = tuple(child for child in entry.children if child.id != who)
    own = (Child(who, Proof(data["proof"])),) if data["own"] else ()
    entries[key] = replace(entry, children=(*others, *own))


def _ended(entries: dict[tuple[str, int], Entry], record: Record) -> None:
    data = _data(record)
    key, at = (str(data["session"]), int(data["generation"])), _when(record)
    entries[key] = replace(entries[key], status=Status.ENDED, ended=at, why=str(data["why"]))


_TOLD: dict[str, Callable[[dict[tuple[str, int], Entry], Record], None]] = {
    PREFIX + SessionRegistered.type: _registered,
    PREFIX + ChildNamed.type: _child,
    PREFIX + RegistrationEnded.type: _ended,
}


def _as_of_now(entry: Entry, is_over: Callable[[Entry], str], lives: Callable[[ProcessId], bool]) -> Entry:
    """What is true of an entry of the journal today. Heartbeats are not in there: it counts as having just beaten."""
    if entry.status is Status.ENDED:
        return entry
    now = time.time()
    if why := is_over(entry):
        return replace(entry, status=Status.ENDED, ended=now, why=why)
    children = tuple(child for child in entry.children if lives(child.id))
    return replace(entry, heartbeat=now, beat=time.monotonic(), children=children)


def _data(record: Record) -> Mapping[str, Any]:
    data = record["data"]
    if not isinstance(data, Mapping):
        raise TypeError("a record without data")
    return data


def _identity(text: object) -> ProcessId:
    pid, _, start = str(text).partition("@")
    return ProcessId(int(pid), int(start))


def _when(record: Record) -> float:
    from datetime import datetime

    return datetime.fromisoformat(str(record["time"])).timestamp()
