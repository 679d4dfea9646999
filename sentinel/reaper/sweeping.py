"""Dead socket files by the thousand, out of one directory.

tmux leaves its socket at every kind of end, so they pile up. A dead one holds nothing and can
be made again: these are not kept in quarantine. Like everything else they lose their name
before they are looked at for the last time (``reaper/removals.py`` says why); that last look
is one for all of them.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from sentinel.core.actions import Outcome, Result, SweepSockets
from sentinel.core.facts import Unknown
from sentinel.core.verdicts import Stale
from sentinel.observe.sockets import Bound, answers, bound_inodes
from sentinel.reaper.openat import Refused, open_parent, put_back, status_of
from sentinel.reaper.quarantine import Entry, open_entry

BATCH = 200
"""Files after which others have their turn: 10 ms."""


async def sweep(action: SweepSockets, quarantine: Path) -> list[Outcome]:
    """Remove those that are still what was judged and still nobody's.

    Returns:
        One for each: ``REMOVED``, ``GONE``, or ``REFUSED`` with the reason. Never raises for
        what the file system says.
    """
    try:
        directory, _ = open_parent(os.path.join(action.directory, "x"))
        try:
            entry = open_entry(quarantine, action)
        except BaseException:
            os.close(directory)
            raise
    except (Refused, OSError) as error:
        return [Outcome(target.path, Result.REFUSED, str(error)) for target in action.targets]
    try:
        return await _sweep(directory, action.targets, entry)
    finally:
        entry.close()
        os.close(directory)


async def _sweep(directory: int, targets: Iterable[Stale], entry: Entry) -> list[Outcome]:
    outcomes: list[Outcome] = []
    moved: list[tuple[Stale, str]] = []
    entry.kept = True  # whatever comes: the note is of use as long as one has no name of its own
    for number, target in enumerate(targets, 1):
        aside = f"{entry.aside}.{os.path.basename(target.path)}"
        failed = _take_name(directory, target, aside)
        if failed is None:
            moved.append((target, aside))
        else:
            outcomes.append(failed)
        if number % BATCH == 0:
            await asyncio.sleep(0)
    bound = bound_inodes()  # whoever bound one of them did so before it lost its name
    for number, (target, aside) in enumerate(moved, 1):
        outcomes.append(_end(directory, target, aside, bound))
        if number % BATCH == 0:
            await asyncio.sleep(0)
    entry.kept = any(_is_there(directory, aside) for _, aside in moved)
    return outcomes


def _is_there(directory: int, name: str) -> bool:
    try:
        status_of(directory, name)
    except OSError:
        return False
    return True


def _take_name(directory: int, target: Stale, aside: str) -> Outcome | None:
    """Move one aside; an outcome when that was not to be done."""
    name = os.path.basename(target.path)
    try:
        if not _is_it(status_of(directory, name), target):
            return Outcome(target.path, Result.REFUSED, "it is not the one that was judged")
        os.rename(name, aside, src_dir_fd=directory, dst_dir_fd=directory)
    except FileNotFoundError:
        return Outcome(target.path, Result.GONE)
    except OSError as error:
        return Outcome(target.path, Result.REFUSED, f"it could not be removed: {error.strerror}")
    return None


def _end(directory: int, target: Stale, aside: str, bound: Bound | Unknown) -> Outcome:
    """Remove what was moved aside, or give it its name back."""
    try:
        status = status_of(directory, aside)
        now = os.path.join(os.path.dirname(target.path), aside)
        dead = _is_it(status, target) and isinstance(bound, Bound) and bound.holds(now, status) is False
        if dead and answers(now) is False:  # asked last: nobody calls at a stranger's
            os.unlink(aside, dir_fd=directory)
            return Outcome(target.path, Result.REMOVED)
        put_back(directory, aside, os.path.basename(target.path))
    except OSError as error:
        return Outcome(target.path, Result.REFUSED, f"it is called {aside} now: {error.strerror}")
    return Outcome(target.path, Result.REFUSED, "it is in use, or nobody can tell any more that it is not")


def _is_it(status: os.stat_result, target: Stale) -> bool:
    same = (status.st_dev, status.st_ino) == (target.device, target.inode)
    return same and stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid()
