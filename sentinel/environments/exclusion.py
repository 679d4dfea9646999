"""One at a time: whoever starts or stops a project holds its lock until that is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sentinel.core.sanitise import clean
from sentinel.environments.project import Project
from sentinel.locks import Holder, Lock, LockHeld
from sentinel.locks.lock import look
from sentinel.paths import Paths


@contextmanager
def alone(where: Paths, project: Project, verb: str, patience: float) -> Iterator[None]:
    """Be the only one who changes a project. The lock falls with its holder.

    Args:
        where: The runtime directory has the lock.
        project: Which one.
        verb: What is done, for whoever waits.
        patience: Seconds to wait for another one.

    Raises:
        LockHeld: Another one was not done within that time.
    """
    path = where.runtime / f"project-{project.id}.lock"
    lock = Lock(path, timeout=patience, session=f"sentinel {verb}")
    try:
        lock.acquire()
    except LockHeld as held:
        holder = look(path)
        who = str(holder) if isinstance(holder, Holder) else "somebody"
        raise LockHeld(
            f"{clean(project.name)} is being changed by {who} already: try again when that is done"
        ) from held
    try:
        yield
    finally:
        lock.release()
