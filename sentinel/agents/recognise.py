"""What a process is by the program that it runs, never by words on its command line.

``vim notes-claude.md`` and ``pytest tests/claude`` are not agents. A program is recognised
by the file that runs: the executable, the name it was started under, or, when that is an
interpreter, the script.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sentinel.agents.table import AGENTS, Agent
from sentinel.core.facts import kernel_name
from sentinel.core.sessions import Kind

_WRAPPED = re.compile(r"\.(?P<name>.+?)-(?:un)?wrapped_*")
"""How wrappers call the program that they wrap: ``.claude-wrapped`` (gt#1890)."""
_INTERPRETER = re.compile(r"node|nodejs|bun|deno|ruby|(?:python|pypy)[0-9.]*")
_SHELLS = frozenset(("bash", "zsh", "fish", "sh", "dash", "ksh"))
_SHELLS_OF_ENV = ("bash", "zsh", "fish")
"""Whose scripts begin with `#!/usr/bin/env`, and so lose the script's name before anybody looks.
The others are started by their paths, and looking at each `sh` on the machine would cost."""
_MAIN_THREAD = ("MainThread", "node-MainThread")  # what node 22 and later call themselves once they run
_TAKES_VALUE = frozenset(
    (
        *("-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions"),
        *("--env-file", "--title", "-X", "-W"),
    )
)
"""Options of interpreters whose value stands in the next argument and might be a path."""
_NO_SCRIPT = frozenset(("-e", "--eval", "-p", "--print", "-c", "-"))
_RUN_WORDS = frozenset(("run",))  # `bun run FILE`, `deno run FILE`
_ASKS_ONLY = frozenset(("--version", "--help", "-h", "completion"))
"""First arguments with which a program answers and ends: not worth a session."""
_OVERMIND = "overmind"
_OVERMIND_STARTS = frozenset(("start", "s"))


@dataclass(frozen=True, slots=True)
class Recognised:
    """A session root by its program."""

    kind: Kind
    name: str


_BY_COMMAND = {command: agent for agent in AGENTS for command in agent.commands}
_PACKAGES = tuple((f"/{package}/", agent) for agent in AGENTS for package in agent.packages)


_KNOWN_COMMS = frozenset(
    kernel_name(comm)
    for command in (*_BY_COMMAND, _OVERMIND)
    for comm in (command, f"{command}.exe", f".{command}-wrapped", f".{command}-unwrapped")
) | frozenset(("node", "nodejs", "bun", "deno", "ruby", "agent", *_MAIN_THREAD, *_SHELLS_OF_ENV))


def worth_a_look(comm: str) -> bool:
    """Whether a process that has just called itself this at exec may be a session root.

    Asked for every exec on the machine, so it is one look into a set. Programs rename
    themselves later: a look at what runs already must ask ``recognise`` of everyone.
    """
    return comm in _KNOWN_COMMS or comm.startswith(("python", "pypy"))


def recognise(exe: str, argv: Sequence[str], name: str) -> Recognised | None:
    """What session a process is the root of, by its program.

    Args:
        exe: Path of the running executable.
        argv: Its arguments as the kernel shows them.
        name: What the kernel calls it (comm). Tells a script that was started by its own
            first line from a file name given to an interpreter.
    """
    command, arguments = _program(exe, argv, name)
    if not command:
        return None
    word = _first_word(arguments)
    plain = _plain(_basename(command))
    if plain == _OVERMIND:
        return Recognised(Kind.OVERMIND, _OVERMIND) if word in _OVERMIND_STARTS else None
    agent = _BY_COMMAND.get(plain) or _of_package(command)
    if agent is None or word in agent.helpers or (arguments and arguments[0] in _ASKS_ONLY):
        return None
    return Recognised(Kind.AGENT, agent.name)


def _program(exe: str, argv: Sequence[str], name: str) -> tuple[str, Sequence[str]]:
    """The file that runs, executable or script, and the arguments that are its own."""
    if _known(_basename(exe)):
        return exe, argv[1:]
    started_as = argv[0] if argv else ""
    if (script := _by_first_line(argv, name) or _given(_basename(exe), argv[1:])) is not None:
        return script
    # Programs write titles over argv[0] (`sshd: claude`): only what can be one name is believed.
    if " " not in started_as and _known(_basename(started_as)):
        return started_as, argv[1:]
    return "", ()


def _by_first_line(argv: Sequence[str], name: str) -> tuple[str, Sequence[str]] | None:
    """The script that the kernel gave to the interpreter of its ``#!`` line, whichever that is.

    The process then has the script's name, and the script stands behind the interpreter and
    at most one argument (execve(2)). ``less claude`` has the name of `less`.
    """
    for position, script in enumerate(argv[1:3], 1):
        if kernel_name(_basename(script)) == name and _known(_basename(script)):
            return script, argv[position + 1 :]
    return None


def _given(interpreter: str, arguments: Sequence[str]) -> tuple[str, Sequence[str]] | None:
    """The script that somebody, above all `env`, gave to an interpreter, if it is one that is known."""
    if interpreter in _SHELLS:  # whose options are not worth knowing: `env` gives none
        return (arguments[0], arguments[1:]) if arguments and _is_known_path(arguments[0]) else None
    return _script(arguments) if _INTERPRETER.fullmatch(interpreter) else None


def _script(arguments: Sequence[str]) -> tuple[str, Sequence[str]] | None:
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        if argument in _NO_SCRIPT:
            return None
        if argument == "-m":
            module = arguments[position + 1] if position + 1 < len(arguments) else ""
            return (module, arguments[position + 2 :]) if _known(module) else None
        if argument in _TAKES_VALUE:
            position += 2
        elif argument.startswith("-") or (position == 0 and argument in _RUN_WORDS):
            position += 1
        else:
            break
    else:
        return None
    script = arguments[position]
    return (script, arguments[position + 1 :]) if _is_known_path(script) else None


def _is_known_path(script: str) -> bool:
    return "/" in script and (_known(_basename(script)) or _of_package(script) is not None)


def _known(basename: str) -> bool:
    plain = _plain(basename)
    return plain in _BY_COMMAND or plain == _OVERMIND


def _plain(basename: str) -> str:
    """The name without what packagers put around it."""
    basename = basename.removesuffix(".exe")
    wrapped = _WRAPPED.fullmatch(basename)
    return wrapped["name"] if wrapped else basename


def _basename(path: str) -> str:
    return path.rpartition("/")[2]


def _of_package(script: str) -> Agent | None:
    """The agent whose package a script lies in; not that of a package inside the package."""
    for directory, agent in _PACKAGES:
        _, found, rest = script.rpartition(directory)
        if found and "node_modules/" not in rest:
            return agent
    return None


def _first_word(arguments: Sequence[str]) -> str:
    return next((argument for argument in arguments if not argument.startswith("-")), "")
