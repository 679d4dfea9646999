"""Sentinel's LaunchAgent for macOS: its property list, and the commands that load it.

Nothing here has run on macOS; tests check the list against the keys and types of
launchd.plist(5) and against Apple's DTD.
"""

from __future__ import annotations

import plistlib
from collections.abc import Sequence
from pathlib import Path

LABEL = "dev.sentinel.agent"

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
