"""Sentinel's LaunchAgent for macOS: its property list, and the commands that load it.

Nothing here has run on macOS; the list is checked against the keys and types of
launchd.plist(5) and against Apple's DTD.
"""

from __future__ import annotations

import plistlib
from collections.abc import Sequence
from pathlib import Path
from xml.parsers.expat import ExpatError

LABEL = "dev.sentinel.agent"

KEYS: dict[str, type] = {
    "Label": str,
    "ProgramArguments": list,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ThrottleInterval": int,
    "ProcessType": str,
    "AbandonProcessGroup": bool,
    "ExitTimeOut": int,
    "Umask": int,
    "EnvironmentVariables": dict,
    "StandardOutPath": str,
    "StandardErrorPath": str,
}
"""The keys that are used, with their types in launchd.plist(5)."""

_HOMEBREW = "/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
"""launchd gives an agent a PATH without Homebrew's two places, where tmux is."""


def agent(command: Sequence[str], logs: Path) -> bytes:
    """The property list of the agent that runs ``command agent``.

    Args:
        command: The program and its first arguments; the program by its absolute path.
        logs: The directory for what it says on its standard streams.

    Raises:
        ValueError: launchd could not run that.
    """
    if not command or not command[0].startswith("/"):
        raise ValueError("a LaunchAgent names its program by an absolute path")
    if not all(word.isprintable() for word in command):
        raise ValueError("a LaunchAgent's command holds no control characters")
    said = str(logs / "agent.log")
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": [*command, "agent", "--quiet"],
            "RunAtLoad": True,
            # Started again after a crash, not after an end in good order: a second agent ends with 0.
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 10,
            # "Background" would slow its work and its input down: a death is answered in milliseconds.
            "ProcessType": "Adaptive",
            # Else launchd ends whatever is left in its process group.
            "AbandonProcessGroup": True,
            "ExitTimeOut": 5,
            "Umask": 0o077,
            "EnvironmentVariables": {"PATH": _HOMEBREW},
            "StandardOutPath": said,
            "StandardErrorPath": said,
        },
        sort_keys=False,
    )


def wrong(plist: bytes) -> list[str]:
    """What is wrong with a property list, as sentences; empty when launchd would take it."""
    try:
        said = plistlib.loads(plist)
    except (plistlib.InvalidFileException, ExpatError, ValueError, OverflowError) as error:
        return [f"it is no property list: {error}"]
    if not isinstance(said, dict):
        return ["it is no dictionary"]
    problems = [f"launchd knows no key {key}" for key in said if key not in KEYS]
    problems += [
        f"{key} is a {type(said[key]).__name__}, and should be a {kind.__name__}"
        for key, kind in KEYS.items()
        if key in said and type(said[key]) is not kind
    ]
    problems += [f"{key} is missing" for key in ("Label", "ProgramArguments") if key not in said]
    return problems


def place(home: Path) -> Path:
    """Where a person's own agents lie."""
    return home / "Library" / "LaunchAgents" / f"{LABEL}.plist"


def load(uid: int, home: Path) -> list[str]:
    """The command that starts the agent, and has it started at each log-in."""
    return ["launchctl", "bootstrap", f"gui/{uid}", str(place(home))]


def unload(uid: int) -> list[str]:
    """The command that ends the agent, and has it started no more."""
    return ["launchctl", "bootout", f"gui/{uid}/{LABEL}"]


def restart(uid: int) -> list[str]:
    """The command that ends the agent and starts it anew."""
    return ["launchctl", "kickstart", "-k", f"gui/{uid}/{LABEL}"]


def describe(uid: int) -> list[str]:
    """The command that prints what launchd knows of the agent."""
    return ["launchctl", "print", f"gui/{uid}/{LABEL}"]


def properties(output: str) -> dict[str, str]:
    """What ``launchctl print`` printed of the agent itself, by name; the first of each."""
    found: dict[str, str] = {}
    for line in output.splitlines():
        name, is_there, value = line.strip().partition(" = ")
        if is_there and value != "{":
            found.setdefault(name, value)
    return found
