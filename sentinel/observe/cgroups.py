"""Where processes stand in the hierarchy of control groups (Linux, cgroups(7))."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache

from sentinel.core.facts import Unknown

_MOUNT = re.compile(r"^\d+ \d+ \S+ (?P<root>\S+) (?P<point>\S+) .* - cgroup2 ", re.MULTILINE)


def of(pid: int) -> str | Unknown:
    """Path in the hierarchy in which systemd keeps its units; empty where there is none.

    That is version 2, and on old systems a hierarchy of version 1 that is named for it.
    """
    paths = _paths(pid)
    return paths if isinstance(paths, Unknown) else _systemds(paths)


def told_by(content: bytes) -> str:
    """The same, by the content of /proc/PID/cgroup."""
    return _systemds(_by_hierarchy(content.decode("utf-8", "surrogateescape")))


def _systemds(paths: dict[str, str]) -> str:
    unified, named = paths.get("", ""), paths.get("name=systemd", "")
    return unified if unified.strip("/") else named or unified


def unified(pid: int) -> str:
    """Path in version 2; empty where there is none, or nobody can tell."""
    paths = _paths(pid)
    return "" if isinstance(paths, Unknown) else paths.get("", "")


def _paths(pid: int) -> dict[str, str] | Unknown:
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="surrogateescape") as file:
            return _by_hierarchy(file.read())
    except OSError as error:
        return Unknown(f"in which control group process {pid} is", error.strerror or str(error))


def _by_hierarchy(content: str) -> dict[str, str]:
    """Paths by the names of the hierarchies; that of version 2 has none."""
    lines = content.splitlines()
    return dict(line.split(":", 2)[1:] for line in lines if line.count(":") > 1)


def processes_in(path: str) -> list[int] | Unknown:
    """Pids of the processes in a group of version 2 and in those below it: all of them, or nobody's."""
    if (directory := directory_of(path)) is None:
        return Unknown(f"who is in control group {path}", "it is not to be seen from here")
    try:
        # Twice: who moves from one group to another meanwhile may be seen in neither.
        found = list(dict.fromkeys((*_members(directory), *_members(directory))))
    except (OSError, ValueError) as error:
        return Unknown(f"who is in control group {path}", str(error))
    if 0 in found:
        return Unknown(f"who is in control group {path}", "somebody from another pid namespace is")
    return found


def _members(directory: str) -> Iterator[int]:
    for folder, _, _ in os.walk(directory, onerror=_complain):
        with open(f"{folder}/cgroup.procs", encoding="ascii") as file:
            yield from map(int, file.read().split())


def directory_of(path: str) -> str | None:
    """Where a group of version 2 can be seen; None when that cannot be told."""
    mount = _mount_point()
    if mount is None or not path.startswith("/") or ".." in path.split("/"):
        return None
    return f"{mount}{path}".rstrip("/")


@cache
def _mount_point() -> str | None:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mounts = [found for found in _MOUNT.finditer(file.read()) if found["root"] == "/"]
    except OSError:
        return None
    return mounts[0]["point"] if mounts else None


def _complain(error: OSError) -> None:
    raise error
