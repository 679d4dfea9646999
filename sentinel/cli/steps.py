"""What `sentinel install` does, step by step: each says what it would do, does it, and takes it back."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sentinel import instance
from sentinel.errors import SentinelError
from sentinel.paths import Paths
from sentinel.service import manager
from sentinel.service.command import ours


class NotHere(SentinelError):
    """The step has nothing to do with this machine. The message says why."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where something is to be installed."""

    where: Paths
    home: Path
    environ: Mapping[str, str]

    def base(self, variable: str, default: str) -> Path:
        """A directory of the XDG base directory specification."""
        value = self.environ.get(variable, "")
        return Path(value) if value.startswith("/") else self.home / default


@dataclass(frozen=True, slots=True)
class Plan:
    """What a step would do."""

    files: Mapping[Path, bytes]
    """What each is to hold."""
    commands: Sequence[str] = ()
    """What is run after that, as it is shown."""
    directories: Sequence[Path] = ()
    """Which such a command makes."""
    hints: Sequence[str] = ()
    """What is left for the person to do."""


class Step(Protocol):
    """One of them."""

    name: str
    says: str

    def plan(self, host: Host) -> Plan:
        """What there is to do.

        Raises:
            NotHere: Nothing on this machine.
            SentinelError: It cannot be done, and why.
        """

    def done(self, host: Host, *, changed: bool) -> None:
        """The files are in place. ``changed`` says whether they were not before."""

    def undo(self, host: Host) -> None:
        """The files are about to be taken out."""

    def undone(self, host: Host) -> None:
        """They are."""

    def without(self, path: Path, content: bytes) -> bytes | None:
        """What is left of a file that somebody has changed since, without our part; None: it stays."""


class Service:
    """The agent, kept running by systemd or launchd."""

    name = "service"
    says = "the agent, started now and at each log-in"

    def plan(self, host: Host) -> Plan:
        """One file, and the commands that have it taken into account."""
        keeper = _manager(host)
        # systemctl enable makes this directory for its link.
        wants = [keeper.file.parent / "default.target.wants"] if sys.platform == "linux" else []
        return Plan({keeper.file: keeper.text(ours(host.environ))}, keeper.plan(), wants)

    def done(self, host: Host, *, changed: bool) -> None:
        """Start it, and see that it is there."""
        keeper = _manager(host)
        keeper.put_up(changed=changed)
        state = keeper.state()
        if state.failed:
            raise SentinelError(f"the service does not run: {state.failed}; see sentinel service logs")
        agent = instance.look(host.where)
        if agent.condition is instance.Condition.RUNNING and agent.pid != state.pid:
            raise SentinelError(
                f"it is installed, but another agent runs (pid {agent.pid}): end that, then: sentinel service start"
            )

    def undo(self, host: Host) -> None:
        """End it."""
        _manager(host).take_down()

    def undone(self, host: Host) -> None:
        """Have it forgotten."""
        _manager(host).forget()

    def without(self, path: Path, content: bytes) -> bytes | None:  # noqa: ARG002 - the protocol's
        """A unit that somebody has written into is theirs."""
        return None


class Shell:
    """Completion for the shells that are here, and the manual."""

    name = "shell"
    says = "completion for your shells, and the manual (man sentinel)"

    def plan(self, host: Host) -> Plan:
        """Files only: shells and man find them by their place."""
        from sentinel.cli import completion, manual

        data = host.base("XDG_DATA_HOME", ".local/share")
        places = {
            "bash": data / "bash-completion" / "completions" / "sentinel",
            "zsh": data / "zsh" / "site-functions" / "_sentinel",
            "fish": host.base("XDG_CONFIG_HOME", ".config") / "fish" / "completions" / "sentinel.fish",
        }
        here = [shell for shell in places if shutil.which(shell, path=host.environ.get("PATH"))]
        files = {places[shell]: completion.script(shell).encode() for shell in here}
        files |= {data / "man" / "man1" / name: page.encode() for name, page in manual.pages().items()}
        hints = [f"zsh: put this before compinit in your .zshrc: fpath=({places['zsh'].parent} $fpath)"]
        return Plan(files, hints=hints if "zsh" in here else [])

    def done(self, host: Host, *, changed: bool) -> None:
        """Nothing to start."""

    def undo(self, host: Host) -> None:
        """Nothing to end."""

    def undone(self, host: Host) -> None:
        """Nobody to tell."""

    def without(self, path: Path, content: bytes) -> bytes | None:  # noqa: ARG002 - the protocol's
        """A generated file that somebody has written into is theirs."""
        return None


def _manager(host: Host) -> manager.Manager:
    try:
        return manager.find(host.where.state, host.environ)
    except manager.NoManager as error:
        raise NotHere(str(error)) from error


STEPS: tuple[Callable[[], Step], ...] = (Service, Shell)
"""In the order in which they are done; they are undone in the other one."""
