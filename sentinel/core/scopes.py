"""Control groups that tell whose a process is.

tmux 3.5a and later, built with systemd, puts each pane into a scope of its own; ``sentinel
run`` makes a group for its command where it may. What a pane or a command bears stays in
there, whatever becomes of its parent, its terminal and its environment. So to stand in one
proves descent. Not to stand there proves nothing: what a pane bears in its first
milliseconds is outside.
"""

from __future__ import annotations

import re

from sentinel.core.facts import ProcessId

_PANES = re.compile(r"tmux-spawn-[0-9a-f-]{36}\.scope")
_RUN = "sentinel-run-"
_OF_A_UNIT = (".scope", ".service")


def is_a_panes(cgroup: str) -> bool:
    """Whether tmux made this group for a pane."""
    return _PANES.fullmatch(_last(cgroup)) is not None


def is_of(wrapper: ProcessId, cgroup: str) -> bool:
    """Whether that ``sentinel run`` made this group for its command."""
    return _last(cgroup) == name_for(wrapper)


def name_for(wrapper: ProcessId) -> str:
    """What a ``sentinel run`` calls its group: by its own identity, so no other's is taken for it."""
    return f"{_RUN}{wrapper.pid}-{wrapper.start}"


def stands_in(cgroup: str, scope: str) -> bool:
    """Whether a process with this path is in ``scope``, and in no unit or run of its own inside."""
    if cgroup == scope:
        return True
    inner = cgroup.removeprefix(f"{scope}/")
    if inner == cgroup:
        return False
    return not any(part.endswith(_OF_A_UNIT) or part.startswith(_RUN) for part in inner.split("/"))


def _last(path: str) -> str:
    return path.rpartition("/")[2]
