"""How a project, its processes and its ports are said to a person."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Collection, Iterator, Sequence

from sentinel.core.sanitise import clean
from sentinel.core.sentences import count
from sentinel.environments.project import Project, find
from sentinel.environments.scene import Claim, Holder, Survey
from sentinel.errors import SentinelError

MANAGERS = {"overmind": "Overmind", "honcho": "honcho", "command": "its start command"}
_SHOWN = 6
"""Of a long list, so many are named."""


def command(verb: str, project: Project) -> str:
    """What to type where this command runs: ``sentinel stop`` in the project itself, else with its directory."""
    try:
        if find(os.getcwd()).directory == project.directory:
            return f"sentinel {verb}"
    except (SentinelError, OSError):
        pass
    option = "--project " if verb == "logs" else ""
    return f"sentinel {verb} {option}{clean(shlex.quote(project.directory), 400)}"


def ports(numbers: Sequence[int]) -> str:
    """``port 3001``, ``ports 3001, 5175``; empty for none."""
    if not numbers:
        return ""
    return f"port{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def ended(claims: Collection[Claim], noun: str, where: str = "") -> str:
    """``2 processes on port 3001 ended: pid 12 (ruby), pid 13 (ruby)``; empty for none."""
    if not claims:
        return ""
    named = [f"pid {one.facts.id.pid} ({clean(one.facts.name)})" for one in claims]
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return f"{count(len(named), noun)}{where} ended: {', '.join(named[:_SHOWN])}{more}"


def holder(one: Holder) -> str:
    """Who has a port: pid, program, user and directory, as far as they are known."""
    user = _user(one.uid)
    if not one.pid:
        nobody = "cannot be seen from here" if one.uid == os.getuid() else "only that user can see"
        return f"a process of user {user}, which {nobody}"
    where = f", in {clean(one.directory)}" if one.directory else ""
    return f"pid {one.pid} ({clean(one.name)}, user {user}{where})"


def urls(seen: Survey) -> Iterator[str]:
    """Where the project's servers answer."""
    held = seen.ports if isinstance(seen.ports, dict) else {}
    for port, who in held.items():
        if any(one.ours for one in who):
            names = [name for name, given in seen.project.given.items() if given == port]
            yield f"http://localhost:{port}{f' ({names[0]})' if names else ''}"


def _user(uid: int) -> str:
    try:
        return clean(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)
