"""Has a project started in the background: by Overmind, by honcho where there is none, or by its own command.

Nothing here needs a terminal, and nothing that is started holds ours. The output of each
process goes into a file from its first byte on: what a manager shows in a pane is lost with
the pane. So the Procfile that is run is a copy of the project's, in which each command's
output is led into its log first; the command itself stays what it is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from sentinel.atomic import replace_file
from sentinel.core.sanitise import clean
from sentinel.environments.aside import put_aside
from sentinel.environments.project import Project
from sentinel.environments.scene import OVERMIND, Survey
from sentinel.errors import SentinelError
from sentinel.observe import processes
from sentinel.paths import Paths

HONCHO, COMMAND = "honcho", "command"
_TO_APPEAR = 1.0
"""Seconds that Overmind may take to appear after it went into the background."""
_OLD = ".1"
"""What the log of the start before is called, after its name."""
_NOT_HANDED_ON = ("TMUX", "TMUX_PANE", "PORT", "PS", "_GO_DAEMON")
_OF_OVERMIND = ("OVERMIND_PROCESS_", "OVERMIND_SOCKET", "OVERMIND_PROCFILE", "OVERMIND_TITLE", "OVERMIND_ROOT")
"""What another Overmind, in a pane of which we may run, has set for its own processes: it would mislead ours."""


class Launched:
    """What was started: the manager, or the process that brings it forth and ends."""

    def __init__(self, process: subprocess.Popen[bytes], kind: str) -> None:
        self.kind = kind
        self._process = process
        self.who = processes.identify(process.pid)
        self._ended = 0.0

    def trouble(self) -> str:
        """Why it cannot stand any more; empty while it may."""
        status = self._process.poll()
        if status is None or (self.kind == OVERMIND and status == 0):
            return ""
        return f"{self.kind} ended with status {status}"

    def is_hopeless(self, seen: Survey) -> bool:
        """Whether nothing can come of it any more: Overmind went into the background, and is not there."""
        if self.trouble():
            return True
        if self._process.poll() is None or seen.manager is not None:
            return False
        self._ended = self._ended or time.monotonic()
        return time.monotonic() - self._ended > _TO_APPEAR


class Launch:
    """How one project is started."""

    def __init__(self, where: Paths, project: Project) -> None:
        self._where = where
        self._project = project
        self._overmind = shutil.which(OVERMIND) if shutil.which("tmux") else None
        if project.wishes.start:
            self.manager = COMMAND
        else:
            self.manager = OVERMIND if self._overmind is not None else HONCHO
        self.logs = logs_of(where, project)

    def refuse(self) -> None:
        """Raise a sentence when there is nothing that could be started.

        Raises:
            SentinelError: There is neither a Procfile nor a start command.
        """
        if self.manager != COMMAND and not self._project.processes:
            raise SentinelError(
                f"nothing says what to start: put a Procfile into {clean(self._project.directory)},"
                ' or start = "..." into the project file'
            )

    def go(self) -> Launched:
        """Start it.

        Raises:
            SentinelError: Its files cannot be written, or the manager cannot be run.
        """
        names = (*self._project.processes, "manager") if self.manager != COMMAND else ("manager",)
        try:
            self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in names:
                put_aside(str(self.logs / f"{name}.log"), _OLD)
                (self.logs / f"{name}.log").touch(0o600)
            words = self._words()
            with open(self.logs / "manager.log", "ab") as log:
                process = subprocess.Popen(
                    words,
                    cwd=self._project.directory,
                    env=_environment(os.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise SentinelError(f"{clean(self._project.name)} cannot be started: {error}") from error
        return Launched(process, self.manager)

    def _words(self) -> list[str]:
        project = self._project
        if self.manager == COMMAND:
            return [*_run(project.name), "sh", "-c", project.wishes.start]
        ours = self._where.state / "projects" / f"{project.id}.Procfile"
        ours.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(ours, self._procfile())
        if self._overmind is None:
            honcho = [sys.executable, "-m", "honcho", "start", "--app-root", project.directory]
            return [*_run(project.name), *honcho, "--procfile", str(ours), "--port", str(project.base_port)]
        return [
            *(self._overmind, "start", "-D", "-f", str(ours), "-d", project.directory),
            *("-w", project.name, "-s", project.socket, "-p", str(project.base_port)),
        ]

    def _procfile(self) -> bytes:
        """The project's Procfile, each command with its output led into its log."""
        lines = []
        for name, command in self._project.processes.items():
            log = shlex.quote(str(self.logs / f"{name}.log"))
            lines.append(f"{name}: exec >>{log} 2>&1; {command}\n")
        return os.fsencode("".join(lines))


def logs_of(where: Paths, project: Project) -> Path:
    """Where a project's logs are: where its file says, else in the state directory."""
    if project.wishes.logs:
        return Path(project.directory, project.wishes.logs)
    return where.state / "logs" / project.id


def _run(name: str) -> list[str]:
    """Words that run a command as a watched session: what it leaves at its end is ended too."""
    return [sys.executable, "-P", "-m", "sentinel", "run", "--name", name, "--"]


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Our environment, without what belongs to the pane that we may run in."""
    return {
        name: value for name, value in ours.items() if name not in _NOT_HANDED_ON and not name.startswith(_OF_OVERMIND)
    }
