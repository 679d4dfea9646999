"""When a script directory of Overmind is a leftover.

Overmind makes ``$TMPDIR/overmind-<title>-<21 characters>`` at each start, also at one that
fails because it "is already running", and names its tmux socket with the same word. A
directory whose word no living tmux server or Overmind can have is nobody's.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Collection

from sentinel.core.facts import DirectoryFacts, Gone, Unknown
from sentinel.core.verdicts import FileVerdict, Kept, Stale

INSTANCE = re.compile(r"overmind-(?P<title>.+)-[A-Za-z0-9_-]{21}")


def slug(title: str) -> str:
    """The title as Overmind writes it into names: lower case, one dash for all else.

    Seen in Overmind 2.5.1.
    """
    return re.sub("-{2,}", "-", re.sub("[^a-zA-Z0-9]", "-", title)).lower()


def judge_directory(
    facts: DirectoryFacts | Gone | Unknown,
    *,
    path: str,
    uid: int,
    lifetime: tuple[float, float],
    living: Collection[str] | Unknown,
    rivals: bool,
    owner: str,
) -> FileVerdict | None:
    """Decide about a script directory of a dead Overmind. None: there is no such directory.

    ``lifetime`` is the dead session's, in wall-clock seconds; ``living`` are the instance
    names of living tmux servers; ``rivals`` says that another Overmind of the same title
    lives, whose directory this might be.
    """
    match facts:
        case Gone():
            return None
        case Unknown():
            return Kept(path, "unknown", str(facts))
    name = path.rpartition("/")[2]
    if INSTANCE.fullmatch(name) is None or not stat.S_ISDIR(facts.mode):
        return Kept(path, "not-overmind", "it is not a directory with a name that Overmind gives")
    if isinstance(living, Unknown):
        return Kept(path, "unknown", str(living))
    if name in living:
        return Kept(path, "in-use", "a living tmux server has the same name")
    if rivals:
        return Kept(path, "unknown", "another Overmind of the same title lives and may have made it")
    if facts.uid != uid:
        return Kept(path, "other-user", f"it belongs to another user (uid {facts.uid})")
    if stat.S_IMODE(facts.mode) & 0o077:
        return Kept(path, "not-overmind", "Overmind makes its directories private, and this one is not")
    if not lifetime[0] <= facts.modified <= lifetime[1]:
        return Kept(path, "identity", "it was not written while the dead session lived")
    return Stale(
        path, facts.device, facts.inode, (owner, "written in its lifetime, and no living tmux server has its name")
    )
