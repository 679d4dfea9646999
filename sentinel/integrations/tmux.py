"""tmux's own hooks: global ones, at an index that nobody else has, beside the user's.

They only hint: the first to fire appends a word and its server's pid to the hints file, in the
background, while an agent is there, and never waits. A hook that waits would keep every killed pane alive
for as long. At kill-server none arrives, and none at all when the server is killed, so nothing
rests on them (docs/decisions/0016).

Nothing that a person named goes through the shell: ``#{q:}`` of tmux 3.1c to 3.8 leaves a line
feed as it is, and 3.1c lets one into the name of a session.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from sentinel.core.facts import Unknown
from sentinel.core.sessions import SocketMark
from sentinel.observe.tmux import ask_server
from sentinel.paths import Paths

INDEX = 8731
"""Where in each of tmux's lists of hooks ours is. ``set-hook -g NAME`` without an index wipes
the list, ``-ga`` appends at the lowest free one."""
WIPED = "after-set-hook"
"""Fires when somebody has set a hook: maybe in place of ours."""
HOOKS = (
    "session-created",
    "session-renamed",
    "session-closed",
    "pane-died",
    "pane-exited",
    WIPED,  # the last to be set: so it fires for itself only, and not for the others
)
STATUS = "@sentinel_status"
"""A user option, for ``status-right``: read without a process for each refresh of the line."""

HINTED = "@sentinel_hinted"
"""A user option that is set from the first hint on, until somebody has looked: whatever else
happens in between costs the server nothing, least of all where no agent looks. To start a shell
takes a server 1 ms, and it answers nobody meanwhile."""

_HINT = "{ test -S %s && echo %s #{pid} >> %s; } 2>/dev/null; :"
_LOOKED = ["set-option", "-gqu", HINTED]
_FLAG = re.compile(r"[01]+")


def command(hook: str, where: Paths) -> str:
    """What tmux is to do when ``hook`` fires.

    A script that fails, or writes anything, would be shown in the user's pane.
    """
    script = _HINT % (_for_sh(where.inbox), hook, _for_sh(where.hints))
    hint = f"set-option -g {HINTED} 1 ; run-shell -b {_for_tmux(script)}"
    return f"if-shell -F '#{{?#{{{HINTED}}},0,1}}' {_for_tmux(hint)}"


def lines(where: Paths) -> str:
    """The same as lines of a tmux.conf: for ``source-file``, as often as one likes."""
    head = "# Written by `sentinel hooks install tmux`; `sentinel hooks uninstall tmux` takes it back.\n"
    return head + "".join(f"set-hook -g '{hook}[{INDEX}]' {_for_tmux(command(hook, where))}\n" for hook in HOOKS)


def wanted(where: Paths) -> bool:
    """Whether the user has asked for the hooks: then the agent sets them on each server that is born."""
    return where.tmux_hooks.is_file()


async def install(server: SocketMark, where: Paths, deadline: float = 1.0, program: str = "tmux") -> Unknown | None:
    """Set the hooks on one server; those that are there are set again. ``Unknown``: nobody can tell whether they are.

    The arguments are those of ``observe.tmux.list_panes``.
    """
    settings = [["set-hook", "-g", f"{hook}[{INDEX}]", command(hook, where)] for hook in HOOKS]
    settings.append(_LOOKED)
    return await _tell(f"whether {server.path} has the hooks now", server, deadline, program, settings)


async def remove(server: SocketMark, deadline: float = 1.0, program: str = "tmux") -> Unknown | None:
    """Take the hooks and the status off one server. What the user has set stays as it was."""
    settings = [["set-hook", "-gu", f"{hook}[{INDEX}]"] for hook in reversed(HOOKS)]
    settings += [_LOOKED, ["set-option", "-gqu", STATUS]]
    return await _tell(f"whether {server.path} still has the hooks", server, deadline, program, settings)


async def missing(server: SocketMark, deadline: float = 1.0, program: str = "tmux") -> tuple[str, ...] | Unknown:
    """Which of the hooks a server has not. From now on they hint again."""
    question = f"which hooks {server.path} has"
    flags = "".join(f"#{{?#{{{hook}[{INDEX}]}},1,0}}" for hook in HOOKS)
    words = [program, *_LOOKED, ";", "list-sessions", "-F", flags]
    answer = await ask_server(question, server, deadline, words)
    if isinstance(answer, Unknown):
        return answer
    first = answer.partition("\n")[0]
    if _FLAG.fullmatch(first) is None or len(first) != len(HOOKS):
        return Unknown(question, "it has no session to be asked through" if not answer else "it answers oddly")
    return tuple(hook for hook, flag in zip(HOOKS, first, strict=True) if flag == "0")


async def show_status(server: SocketMark, text: str, deadline: float = 1.0, program: str = "tmux") -> Unknown | None:
    """Have ``#{@sentinel_status}`` be ``text``, which is ours from end to end, on a server."""
    settings = [["set-option", "-gq", STATUS, text]]
    return await _tell(f"what {server.path} shows of Sentinel", server, deadline, program, settings)


async def _tell(
    question: str, server: SocketMark, deadline: float, program: str, commands: Iterable[Sequence[str]]
) -> Unknown | None:
    words: list[str] = []
    for each in commands:
        # A word that ends in `;` ends the command, for tmux.
        words += [*(f"{word[:-1]}\\;" if word.endswith(";") else word for word in each), ";"]
    answer = await ask_server(question, server, deadline, [program, *words[:-1]])
    return answer if isinstance(answer, Unknown) else None


def _for_sh(path: Path) -> str:
    """A path as a word of sh, within a text in which tmux expands formats."""
    return shlex.quote(str(path)).replace("#", "##")


def _for_tmux(text: str) -> str:
    """A text as one word of tmux's own language."""
    return "'" + text.replace("'", "'\\''") + "'"
