"""The manager of a user's services, asked and told through its own command: systemctl or launchctl."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sentinel.core.sanitise import clean
from sentinel.errors import SentinelError
from sentinel.service import launchd, systemd

_PATIENCE = 30.0
"""Seconds. A start waits until everything is watched."""

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


class NoManager(SentinelError):
    """Nobody here keeps services for a user."""

    exit_code = 4  # LSB: program or service status is unknown


@dataclass(frozen=True, slots=True)
class State:
    """What the manager says of the service."""

    enabled: bool = False
    """It starts at the log-in."""
    running: bool = False
    failed: str = ""
    """How it ended, when it did not end well: ``exit-code``, ``watchdog``, ``start-limit-hit``."""
    pid: int = 0
    since: str = ""
    restarts: int = 0
    says: str = ""
    """The agent's own line on what it does."""
    lingers: bool | None = None
    """Whether it lives on after the log-out; None where that is no question."""


class Manager(Protocol):
    """What both of them can do."""

    file: Path
    """What tells it about the service."""

    def text(self, command: Sequence[str]) -> bytes:
        """The content of that file."""

    def plan(self) -> list[str]:
        """The commands that ``put_up`` runs, as they are shown."""

    def put_up(self, *, changed: bool) -> None:
        """Take the file into account, and have the service started now and at each log-in.

        Args:
            changed: The file is another one than before, so a service that runs is started anew.
        """

    def take_down(self) -> None:
        """End the service, and have it started no more. Called while the file is there."""

    def forget(self) -> None:
        """The file is gone."""

    def tell(self, verb: str) -> None:
        """``start``, ``stop``, ``restart`` or ``reload`` it."""

    def state(self) -> State:
        """How it is."""

    def logs(self, *, lines: int, follow: bool) -> list[str]:
        """The command that shows what it said."""


class Systemd:
    """systemd's manager of this user (systemctl --user)."""

    def __init__(self, environ: Mapping[str, str], home: Path, user: str, run: Run | None = None) -> None:
        self.file = systemd.place(environ, home)
        self._user = user
        self._run = run or _runner(_reachable(environ))

    def text(self, command: Sequence[str]) -> bytes:
        """The unit."""
        return systemd.unit(command).encode()

    def plan(self) -> list[str]:
        """The commands that ``put_up`` runs, as they are shown."""
        return [" ".join(["systemctl --user", *words]) for words in _UP]

    def put_up(self, *, changed: bool) -> None:
        """Enable it and start it; ``enable --now`` waits until it says that it is ready."""
        ran = self.state().running
        self._control("reset-failed", systemd.UNIT, may_fail=True)
        for words in _UP:
            self._control(*words)
        if changed and ran:
            self._control("restart", systemd.UNIT)

    def take_down(self) -> None:
        """Disable it and stop it."""
        self._control("disable", "--now", systemd.UNIT)

    def forget(self) -> None:
        """Have the manager see that the unit is gone."""
        self._control("daemon-reload")
        self._control("reset-failed", systemd.UNIT, may_fail=True)

    def tell(self, verb: str) -> None:
        """A start begins a new count: systemd refuses one after too many crashes."""
        if verb in {"start", "restart"}:
            self._control("reset-failed", systemd.UNIT, may_fail=True)
        self._control(verb, systemd.UNIT)

    def state(self) -> State:
        """What ``systemctl show`` says."""
        said = systemd.properties(self._control("show", systemd.UNIT, "--property", ",".join(_ASKED)))
        running = said.get("ActiveState") in {"active", "reloading", "deactivating"}
        result = said.get("Result", "success")
        return State(
            enabled=said.get("UnitFileState") == "enabled",
            running=running,
            failed="" if result == "success" or running else result,
            pid=_number(said.get("MainPID")),
            since=said.get("ActiveEnterTimestamp", "") if running else "",
            restarts=_number(said.get("NRestarts")),
            says=clean(said.get("StatusText", "")) if running else "",
            lingers=systemd.lingers(self._user),
        )

    def logs(self, *, lines: int, follow: bool) -> list[str]:
        """By the unit's name: where the journal is not kept on disk there is none for each user."""
        return ["journalctl", f"--user-unit={systemd.UNIT}", f"--lines={lines}", *(["--follow"] if follow else [])]

    def _control(self, *words: str, may_fail: bool = False) -> str:
        done = self._run(["systemctl", "--user", *words])
        if done.returncode == 0 or may_fail:
            return done.stdout
        raise _failure(done, "systemctl --user " + " ".join(words))


class Launchd:
    """macOS's launchd. Its commands are tested at this seam only: nothing here has run on macOS."""

    def __init__(self, home: Path, logs: Path, uid: int, run: Run | None = None) -> None:
        self.file = launchd.place(home)
        self._logs = logs
        self._home = home
        self._uid = uid
        self._run = run or _runner(None)

    def text(self, command: Sequence[str]) -> bytes:
        """The property list."""
        return launchd.agent(command, self._logs)

    def plan(self) -> list[str]:
        """The commands that ``put_up`` runs, as they are shown."""
        return [" ".join(launchd.load(self._uid, self._home))]

    def put_up(self, *, changed: bool) -> None:
        """Launchd reads a list once: a changed one has to be unloaded first."""
        if changed:
            self._run(launchd.unload(self._uid))  # fails where nothing is loaded yet
        self._check(launchd.load(self._uid, self._home))

    def take_down(self) -> None:
        """Unload it."""
        self._run(launchd.unload(self._uid))  # fails where nothing is loaded

    def forget(self) -> None:
        """Launchd has forgotten it already."""

    def tell(self, verb: str) -> None:
        """Launchd keeps what is loaded running: to stop is to unload, and to reload is to restart."""
        match verb:
            case "start":
                self._check(launchd.load(self._uid, self._home))
            case "stop":
                self._check(launchd.unload(self._uid))
            case _:
                self._check(launchd.restart(self._uid))

    def state(self) -> State:
        """What ``launchctl print`` says."""
        done = self._run(launchd.describe(self._uid))
        said = launchd.properties(done.stdout) if done.returncode == 0 else {}
        last = said.get("last exit code", "0")
        running = said.get("state") == "running"
        failed = "" if running or last in {"0", "(never exited)"} else f"status {last}"
        return State(
            enabled=bool(said),
            running=running,
            failed=failed,
            pid=_number(said.get("pid")),
            restarts=_number(said.get("runs")),
        )

    def logs(self, *, lines: int, follow: bool) -> list[str]:
        """It writes into a file."""
        return ["tail", f"-n{lines}", *(["-F"] if follow else []), str(self._logs / "agent.log")]

    def _check(self, command: Sequence[str]) -> None:
        done = self._run(command)
        if done.returncode != 0:
            raise _failure(done, " ".join(command))


def find(logs: Path, environ: Mapping[str, str] = os.environ) -> Manager:
    """The manager of this user's services.

    Args:
        logs: The directory for what the agent says, where no journal takes it.
        environ: Ours.

    Raises:
        NoManager: There is none, or it does not answer.
    """
    import pwd

    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return Launchd(home, logs, os.getuid())
    if shutil.which("systemctl", path=environ.get("PATH")) is None:
        raise NoManager("there is no systemd here to keep a service; start Sentinel with: sentinel agent")
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container somebody may be a number only
        raise NoManager(
            f"nobody keeps services for uid {os.getuid()}, which has no name here; start Sentinel with: sentinel agent"
        ) from None
    manager = Systemd(environ, home, user)
    manager.state()
    return manager


_UP = (("daemon-reload",), ("enable", "--now", systemd.UNIT))
_ASKED = (
    "ActiveState",
    "ActiveEnterTimestamp",
    "MainPID",
    "NRestarts",
    "Result",
    "StatusText",
    "UnitFileState",
)
_NO_BUS = ("Failed to connect to bus", "not been booted with systemd")


def _failure(done: subprocess.CompletedProcess[str], command: str) -> SentinelError:
    said = clean(" ".join(done.stderr.split()), 400) or f"it ended with status {done.returncode}"
    if any(text in done.stderr for text in _NO_BUS):
        return NoManager(f"no systemd of yours answers ({said}); start Sentinel with: sentinel agent")
    return SentinelError(f"{command}: {said}")


def _reachable(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the way to the manager: ``su`` and cron lose it."""
    found = dict(environ)
    runtime = f"/run/user/{os.getuid()}"
    if "XDG_RUNTIME_DIR" not in found and os.path.isdir(runtime):
        found["XDG_RUNTIME_DIR"] = runtime
    return {**found, "LC_ALL": "C", "SYSTEMD_PAGER": ""}


def _runner(environ: Mapping[str, str] | None) -> Run:
    def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="backslashreplace",
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SentinelError(f"{command[0]}: {error}") from error

    return run


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else 0
