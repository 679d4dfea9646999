"""What the environment of a process says about whom it was born under.

Only the variables of this table are looked at and kept: what else is in there may be secret.
Claude Code sets ``CLAUDE_PID`` for all that it runs, tmux ``TMUX=socket,pid,session``, screen
``STY=pid.name``, and ``sentinel run`` ``SENTINEL_SESSION=name:pid``.
"""

from __future__ import annotations

import re

from sentinel.agents.table import AGENTS
from sentinel.core.candidates import Mark
from sentinel.core.facts import Unknown
from sentinel.observe import processes

_OF_PROCESSES = {
    "CLAUDE_PID": ("claude", re.compile(r"(?P<pid>\d{1,10})", re.ASCII)),
    "TMUX": ("the tmux server", re.compile(r".*,(?P<pid>\d{1,10}),\d+", re.ASCII | re.DOTALL)),
    "STY": ("screen", re.compile(r"(?P<pid>\d{1,10})\..*", re.ASCII | re.DOTALL)),
    "SENTINEL_SESSION": ("a sentinel run", re.compile(r".*:(?P<pid>\d{1,10})", re.ASCII | re.DOTALL)),
}
"""Variables that name a process: who leaves them, and their form."""
_OF_AGENTS = {variable: agent.name for agent in AGENTS for variable in agent.marks if variable not in _OF_PROCESSES}
"""Variables that name a conversation, or only say which agent it was."""
_NAMES = frozenset((*_OF_PROCESSES, *_OF_AGENTS))
_LONGEST = 120
"""Characters that are kept of a value."""


def marks_of(pid: int) -> tuple[Mark, ...] | Unknown:
    """The marks in the environment that ``pid`` had at its exec, those that name a process first.

    One whose value has another form than its maker gives it counts as none.
    """
    variables = processes.variables(pid, _NAMES)
    if isinstance(variables, Unknown):
        return variables
    found: list[Mark] = []
    for variable, (owner, form) in _OF_PROCESSES.items():
        named = form.fullmatch(variables.get(variable, ""))
        if named is not None and int(named["pid"]) > 0:
            found.append(Mark(variable, variables[variable][:_LONGEST], owner, int(named["pid"])))
    for variable, agent in _OF_AGENTS.items():
        if value := variables.get(variable):
            found.append(Mark(variable, value[:_LONGEST], agent))
    return tuple(found)
