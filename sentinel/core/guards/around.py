"""Whom a process works for, and where somebody has put it: what the second look shows."""

from __future__ import annotations

import re

from sentinel.core.facts import ProcessFacts, Surroundings, Unknown
from sentinel.core.guards.case import Case

_UNIT = re.compile(r".+\.service|app-.+\.scope|(?:libpod|docker|crio|cri-containerd|machine|lxc)\b.*")
_MANAGER = re.compile(r"user@\d+\.service")
"""The user's own systemd, under which every unit of the user is: to be there says nothing."""


def unit_of(cgroup: str) -> str:
    """The innermost unit or container that a cgroup path names; empty for none.

    Scopes other than an application's are no sign: ``systemd-run --scope`` sets limits, and
    tmux gives each pane one (``tmux-spawn-*.scope``, since 3.5a).
    """
    for part in reversed(cgroup.split("/")):
        if _UNIT.fullmatch(part) and not _MANAGER.fullmatch(part):
            return part
    return ""


def unit(case: Case) -> str | None:
    """NK5, NK6, NK13: moved into a unit of its own.

    A child starts in the cgroup of its parent. Whoever stands in another unit than its
    session's root was put there on purpose, to be looked after by somebody else. A unit that
    the root is in as well says nothing.
    """
    if not isinstance(case.surroundings, Surroundings) or case.session is None:
        return None
    its = unit_of(case.surroundings.cgroup)
    if not its or its == unit_of(case.session.cgroup):
        return None
    return f"it runs in a unit of its own: {its}"


def on_screen(case: Case) -> str | None:
    """NK13: it has, or may have, a window that a person looks at."""
    if isinstance(case.surroundings, Surroundings) and case.surroundings.on_screen:
        return "it is connected to the display, and may have a window on it"
    return None


def unreadable(case: Case) -> str | None:
    """NK14, NK27: what the second look could not find out.

    A process whose own user may not look into it wants that (``ssh-agent``).
    """
    if isinstance(case.surroundings, Unknown):
        return str(case.surroundings)
    if case.surroundings is None and isinstance(case.facts, ProcessFacts):
        return "nobody looked whom it works for"
    return None


def serving(case: Case) -> str | None:
    """NK15, NK16: it works for somebody who lives, or what hangs under it does.

    A wrapper (``npm exec``) hands what it is sent on to what it wraps, and a server's first
    process takes its workers along: so those above stay, too.
    """
    if case.needed_by is not None:
        return f"process {case.needed_by.id.pid} under it is in use: {case.needed_by.reason}"
    if not isinstance(case.surroundings, Surroundings):
        return None
    if case.surroundings.clients:
        first, *others = case.surroundings.clients
        return f"it serves {first}" + (f" and {len(others)} more" if others else "")
    if case.surroundings.feeder:
        return f"it gets its input from {case.surroundings.feeder}"
    return None
