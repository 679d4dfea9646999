"""A place to measure in: actors in C, a user of its own, the real agent.

The agent watches every session of its user, and ends what they leave. So it runs as a user
whom nobody else uses, that owns nothing but what was started here.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).parents[1]
ACTORS = Path(__file__).parent / "actors"
QUIET = "[notify]\nenabled = false\n[budget]\ncauses = 1000000\nshare = 1\n"
"""A notification costs a process a death, some milliseconds after the death: too late to matter
to the session that died, and in the way of the next one, since here they die 20 times a second.
The usual kill budget would stop the agent at the sixth."""
_PATIENCE = 10.0


class CannotMeasureError(Exception):
    """What is needed to measure is not there."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A running agent."""

    process: subprocess.Popen[str]
    directory: Path
    environment: dict[str, str]
    greeting: str

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def journal(self) -> list[dict[str, Any]]:
        """Every record that it has written."""
        files = sorted((self.directory / "state").glob("events.jsonl*"), reverse=True)
        # A line that is being written while we read is not there yet.
        whole = [file.read_text().rpartition("\n")[0] for file in files]
        return [json.loads(line) for text in whole for line in text.splitlines()]

    def count(self, kind: str) -> int:
        """How many records of a type there are (``session.opened``)."""
        return sum(record["type"] == f"dev.sentinel.{kind}" for record in self.journal())

    def wait_for(self, kind: str, count: int) -> None:
        """Return once there are so many records of a type."""
        until(lambda: self.count(kind) >= count, f"{count} records of {kind}")


class Lab:
    """A directory with the actors in it, and a user to run them as.

    Everything that was started is ended when it is left.
    """

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise CannotMeasureError("measuring needs root: the agent is run as a user of its own (sudo make bench)")
        if shutil.which("gcc") is None:
            raise CannotMeasureError("measuring needs gcc: apt-get install gcc libc6-dev")
        self.uid = _vacant_uid()
        self.python = sys.executable
        self.library = str(ROOT)
        self._stack = contextlib.ExitStack()
        self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="sentinel-bench-")))
        self.directory.chmod(0o755)

    def __enter__(self) -> Self:
        for source in sorted(ACTORS.glob("*.c")):
            command = ["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", self.actor(source.stem), str(source)]
            subprocess.run(command, check=True)
        # An agent's name makes a session's root; any other name does not.
        shutil.copy(self.actor("root"), self.actor("claude"))
        shutil.copy(self.actor("root"), self.actor("worker"))
        (self.directory / "stormy").mkdir()
        shutil.copy(self.actor("forker"), self.actor("stormy/claude"))
        # The user may not write byte code beside the sources, and would compile at each start.
        subprocess.run([sys.executable, "-m", "compileall", "-q", ROOT / "sentinel"], check=True)
        if not self._reaches_us():
            self._bring_everything()
        return self

    def _reaches_us(self) -> bool:
        """Whether the user may run this very environment: it may lie below a closed directory."""
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": self.library}
        with contextlib.suppress(OSError):
            process = self.start([self.python, "-c", "import msgspec, sentinel"], environment, subprocess.DEVNULL)
            dismiss(process)
            return process.returncode == 0
        return False

    def _bring_everything(self) -> None:
        library = self.directory / "library"
        shutil.copytree(sysconfig.get_paths()["purelib"], library)
        for package in ("sentinel", "benchmarks"):
            shutil.copytree(ROOT / package, library / package, dirs_exist_ok=True)
        subprocess.run(["chmod", "-R", "a+rX", library], check=True)
        self.library = str(library)
        self.python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else os.path.realpath(sys.executable)

    @property
    def sentinel(self) -> list[str]:
        """The words that run a verb of Sentinel, with ``library`` as PYTHONPATH."""
        return [self.python, "-m", "sentinel"]

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def actor(self, name: str) -> str:
        """Path of a compiled actor."""
        return str(self.directory / name)

    def start(
        self, argv: Sequence[str], environment: dict[str, str] | None = None, errors: IO[str] | int | None = None
    ) -> subprocess.Popen[str]:
        """Start something as the user, in a session of its own, with pipes for input and output."""
        return subprocess.Popen(
            argv,
            user=self.uid,
            group=self.uid,
            extra_groups=[],
            cwd=self.directory,
            env=environment or {"PATH": os.environ["PATH"], "HOME": str(self.directory)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )

    @contextlib.contextmanager
    def running(self, argv: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
        """An actor, from the line in which it says that it is ready until its input is closed."""
        process = self.start(argv)
        try:
            first_line(process)
            yield process
        finally:
            dismiss(process)

    @contextlib.contextmanager
    def agent(
        self,
        wishes: str = QUIET,
        interpreter: Sequence[str] = (),
        errors: IO[str] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
    ) -> Iterator[Agent]:
        """The real agent, with directories of its own, from its greeting until it has ended.

        Args:
            wishes: Its ``sentinel.toml``.
            interpreter: Options of Python.
            errors: Where its standard error goes.
            environ: What it has in its environment besides.
            wrapper: Words before its command line that end in running it: ``prlimit`` and its like.
        """
        directory = Path(tempfile.mkdtemp(prefix="agent-", dir=self.directory))
        environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "LANG": "C.UTF-8"}
        for name in ("config", "state", "run"):
            (directory / name).mkdir(0o700)
            os.chown(directory / name, self.uid, self.uid)
            variable = {"run": "RUNTIME"}.get(name, name.upper())
            environment[f"SENTINEL_{variable}_DIR"] = str(directory / name)
        directory.chmod(0o755)
        (directory / "config" / "sentinel.toml").write_text(wishes)
        os.chown(directory / "config" / "sentinel.toml", self.uid, self.uid)  # a user namespace may know no other
        environment |= {"PYTHONPATH": self.library, **(environ or {})}
        command = [self.python, *interpreter, *self.sentinel[1:], "agent"]
        process = self.start(["setpriv", "--pdeathsig", "TERM", "--", *wrapper, *command], environment, errors)
        try:
            if not (greeting := first_line(process)):
                raise CannotMeasureError("the agent did not start")
            yield Agent(process, directory, environment, greeting)
        finally:
            process.terminate()
            dismiss(process)


def first_line(process: subprocess.Popen[str]) -> str:
    """What it says first; empty when it ended without a word."""
    return process.stdout.readline().strip() if process.stdout is not None else ""


def dismiss(process: subprocess.Popen[str]) -> str:
    """Close the input of something that was started, and wait for its end. Returns what it said."""
    try:
        said, _ = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    return str(said)


def until(met: Callable[[], bool], what: str, patience: float = _PATIENCE) -> None:
    """Return once ``met()`` is true.

    Raises:
        CannotMeasureError: It did not become true in time.
    """
    deadline = time.monotonic() + patience
    while not met():
        if time.monotonic() > deadline:
            raise CannotMeasureError(f"waited in vain for {what}")
        time.sleep(0.02)


def _vacant_uid() -> int:
    """A user id that nobody has and no process runs as."""
    owners = set()
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            owners.add(os.stat(f"/proc/{entry}").st_uid)
    known = {user.pw_uid for user in pwd.getpwall()}
    # systemd's list of uid ranges calls these unused; people, services and containers have others.
    vacant = [uid for uid in range(60578, 61184) if uid not in owners | known]
    return vacant[os.getpid() % len(vacant)]
