"""What a process is: the door to procfs on Linux, to psutil elsewhere.

Everything here answers with facts, ``Gone`` or ``Unknown``, and raises nothing.
"""

from __future__ import annotations

import sys

from sentinel.core.facts import Above, Gone, ProcessId, Unknown

if sys.platform == "linux":
    from sentinel.observe.procfs import (
        above,
        boot_id,
        catches,
        comm,
        environment,
        everyone,
        identify,
        in_foreground,
        look,
        memory,
        only_forked,
        owner,
        population,
        program,
        stdio,
        ticks_per_second,
        variables,
        working_directory,
    )
    from sentinel.observe.threads import children as children_listed
else:
    from sentinel.observe.portable import (
        above,
        boot_id,
        catches,
        comm,
        environment,
        everyone,
        identify,
        in_foreground,
        look,
        memory,
        only_forked,
        owner,
        population,
        program,
        stdio,
        ticks_per_second,
        variables,
        working_directory,
    )
    from sentinel.observe.portable import children as children_listed

__all__ = [
    "above",
    "boot_id",
    "catches",
    "chain",
    "children",
    "comm",
    "descendants",
    "ended",
    "environment",
    "everyone",
    "identify",
    "in_foreground",
    "look",
    "memory",
    "only_forked",
    "owner",
    "population",
    "program",
    "stdio",
    "ticks_per_second",
    "tree",
    "variables",
    "working_directory",
]

_CHAIN_LIMIT = 256


def ended(who: ProcessId) -> bool | Unknown:
    """Whether that very process has ended. A zombie has; so has one whose number is another's now."""
    now = above(who.pid)
    if isinstance(now, Unknown):
        return now
    return isinstance(now, Gone) or now.id != who or now.dead


def tree() -> dict[int, list[Above]]:
    """Everything that lives, by the pid of its parent; empty when nothing can be seen.

    What hangs under a parent that is not there to be seen is listed under 0.
    """
    everyone_now = everyone()
    below: dict[int, list[Above]] = {}
    if isinstance(everyone_now, Unknown):
        return below
    links = [link for pid in everyone_now if isinstance(link := above(pid), Above) and not link.dead]
    known = {link.id.pid for link in links}
    for link in links:
        below.setdefault(link.parent if link.parent in known else 0, []).append(link)
    return below


def children(pid: int) -> list[int] | Unknown:
    """The pids of its children now. Where nobody lists them, or they come and go too fast, by a look at everybody."""
    listed = children_listed(pid)
    if not isinstance(listed, Unknown) or isinstance(above(pid), Gone):
        return listed
    below = tree()
    return [link.id.pid for link in below.get(pid, ())] if below else listed


def descendants(pid: int) -> list[Above]:
    """Everything that lives under ``pid`` now, parents before their children."""
    found: list[Above] = []
    todo = [pid]
    while todo:
        parent = todo.pop(0)
        below = children(parent)
        for child in below if isinstance(below, list) else ():
            link = above(child)
            if isinstance(link, Above) and not link.dead and link.parent == parent:
                found.append(link)
                todo.append(child)
    return found


def chain(parent: int, seen: dict[int, Above] | None = None) -> tuple[Above, ...] | Unknown:
    """``parent``, its parent, and so on up to pid 1 or the edge of this namespace, both left out.

    ``seen`` keeps answers within one look at many processes. A link that vanished while we
    climbed makes the whole chain unknown: what it hung under cannot be told any more.
    """
    links: list[Above] = []
    pid = parent
    while pid > 1:
        link = seen.get(pid) if seen is not None else None
        if link is None:
            answer = above(pid)
            if not isinstance(answer, Above):
                why = answer.why if isinstance(answer, Unknown) else "it ended while we looked"
                return Unknown(f"what process {pid} hangs under", why)
            link = answer
            if seen is not None:
                seen[pid] = link
        links.append(link)
        if len(links) > _CHAIN_LIMIT:
            return Unknown(f"what process {parent} hangs under", "the chain of parents has no end")
        pid = link.parent
    return tuple(links)
