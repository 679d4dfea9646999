"""A stage for the real agent: a user that owns nothing else, and real processes.

Every process on the stage belongs to that user. At the end each of them is ended through a
pidfd, so nothing outlives a test and nothing else can be hit.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import pytest

import sentinel

USERS = [f"sentinel-lab-{number}" for number in range(1, 10)]
"""One for each run of the tests that there is at a time: whatever a user owns is ended with its stage."""
PATIENCE = 15.0
"""Seconds after which what was waited for has not happened. A bound against hanging, no measure."""
HERE = Path(__file__).parent
_CHECKOUT = Path(sentinel.__file__).parent.parent


def alive(pid):
    """Whether a process lives. A zombie does not: PID 1 may take seconds to reap it."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return raw[raw.rindex(b")") + 2 : raw.rindex(b")") + 3] not in b"ZX"


def until(condition, what="what was waited for", patience=PATIENCE):
    """Wait for a condition, and return what it returned."""
    deadline = time.monotonic() + patience
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{what} has not happened"
        time.sleep(0.02)
    return result


@functools.cache
def lab_user():
    """Uid and gid of a user that nobody else has for as long as we run; made when it is not there."""
    if os.getuid() != 0:
        pytest.skip("missing: root (to run the agent as a user of its own)")
    name = until(_vacant_user, "one of the lab's users being free")
    if subprocess.run(["id", "-u", name], capture_output=True, check=False).returncode != 0:
        # Another run may have the user database locked for a moment.
        make = ["useradd", "--system", "--no-create-home", "--shell", "/bin/bash", name]
        until(lambda: subprocess.run(make, capture_output=True, check=False).returncode in {0, 9}, "useradd")
    found = pwd.getpwnam(name)
    return found.pw_uid, found.pw_gid


_CLAIMS = []
"""Open for as long as this process lives: the kernel takes the claims back."""


def _vacant_user():
    """The first user that nobody else has claimed. A claim is an abstract socket of that name."""
    for name in USERS:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0{name}")
        except OSError:
            claim.close()
        else:
            _CLAIMS.append(claim)
            return name
    return None


def as_user(*command):
    """The command line that runs as the lab's user, with nothing of our environment."""
    uid, gid = lab_user()
    return ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--reset-env", *command]


@functools.cache
def interpreter():
    """Words that start Python with Sentinel as the lab's user, who may not reach this checkout."""
    here = [sys.executable, "-P", "-m", "sentinel"]
    if subprocess.run(as_user(*here, "--version"), capture_output=True, check=False, cwd="/").returncode == 0:
        return here
    staged = Path(tempfile.mkdtemp(prefix="sentinel-staged-"))
    atexit.register(shutil.rmtree, staged, ignore_errors=True)
    staged.chmod(0o755)
    shutil.copytree(sysconfig.get_paths()["purelib"], staged / "lib", ignore=shutil.ignore_patterns("__editable__*"))
    shutil.copytree(_CHECKOUT / "sentinel", staged / "lib" / "sentinel", dirs_exist_ok=True)
    subprocess.run(["chmod", "-R", "a+rX", str(staged)], check=True)
    python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else os.path.realpath(sys.executable)
    return ["env", f"PYTHONPATH={staged / 'lib'}", python, "-P", "-m", "sentinel"]


class Stage:
    """One test's world: a home, the processes in it, and the agent."""

    def __init__(self, root: Path, config: str = "") -> None:
        uid, gid = lab_user()
        self.uid = uid
        self.home = root
        self.tmp = root / "tmp"
        self.config = root / "config"
        for folder in (root, self.tmp, self.config):
            folder.mkdir(exist_ok=True)
            os.chown(folder, uid, gid)
        root.chmod(0o755)
        for folder in (self.tmp, self.config):
            folder.chmod(0o700)
        if config:
            self.configure(config)
        self.environ = {
            "HOME": str(root),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TMPDIR": str(self.tmp),
            "TMUX_TMPDIR": str(self.tmp),
            "SENTINEL_STATE_DIR": str(root / "state"),
            "SENTINEL_RUNTIME_DIR": str(root / "runtime"),
            "SENTINEL_CONFIG_DIR": str(self.config),
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
        }
        self._own = []

    def configure(self, text):
        """Write the configuration, as the user."""
        file = self.config / "sentinel.toml"
        file.write_text(text)
        os.chown(file, *lab_user())

    # -- processes ---------------------------------------------------------------------

    def command(self, *words, **environ):
        """The whole command line for words to be run on this stage."""
        pairs = [f"{name}={value}" for name, value in {**self.environ, **environ}.items()]
        return as_user("env", "-C", str(self.home), *pairs, *map(str, words))

    def run(self, *words, **environ):
        """Run something to its end."""
        return subprocess.run(
            self.command(*words, **environ),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )

    def sentinel(self, *words, **environ):
        """Run a verb of Sentinel to its end."""
        return self.run(*interpreter(), *words, **environ)

    def start(self, *words, stdout=subprocess.DEVNULL, **options):
        """Start something, in a session of its own, and return its process."""
        process = subprocess.Popen(
            self.command(*words),
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=stdout,
            stderr=options.pop("stderr", subprocess.DEVNULL),
            start_new_session=options.pop("start_new_session", True),
            **options,
        )
        self._own.append(process)
        return process

    def owns(self, process):
        """Have a process that was started elsewhere waited for at the end."""
        self._own.append(process)

    def start_run(self, name, script, **options):
        """``sentinel run`` of a shell script, in a process group of its own."""
        return self.start(*interpreter(), "run", "--name", name, "--", "bash", "-c", script, **options)

    def file(self, name, text="", mode=0o644):
        """A file in the home, as the user."""
        path = self.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        for made in (path.parent, path):
            os.chown(made, *lab_user())
        return path

    def pid(self, name):
        """The pid that an actor wrote into a file of this name."""
        path = self.home / name
        return int(until(lambda: path.exists() and path.read_text().strip(), f"{name} being written"))

    def kill(self, pid, number=signal.SIGKILL):
        """Send a signal to one process of the stage."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it is gone
            fd = os.pidfd_open(pid)
            try:
                assert os.stat(f"/proc/{pid}").st_uid == self.uid
                signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)

    def everyone(self):
        """Pids of all living processes of the user."""
        found = []
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if entry.isdigit() and os.stat(f"/proc/{entry}").st_uid == self.uid and alive(int(entry)):
                    found.append(int(entry))
        return found

    def close(self):
        """End everybody on the stage."""
        deadline = time.monotonic() + PATIENCE
        # Who was started a moment ago is not the user's yet, but will be.
        while ((left := self.everyone()) or self._has_started()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(OSError):
                    self.kill(pid)
            time.sleep(0.02)
        for process in self._own:
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def _has_started(self):
        return any(process.poll() is None for process in self._own)

    # -- the agent ---------------------------------------------------------------------

    def agent(self, *options):
        """Start the agent, and wait until it watches."""
        process = self.start(*interpreter(), "agent", *options, stderr=subprocess.PIPE)
        until(lambda: process.poll() is not None or self.sentinel("status").returncode == 0, "the agent's start")
        assert process.poll() is None, process.stderr.read()
        return process

    def journal(self, *types):
        """The records, of these types only when some are named."""
        path = self.home / "state" / "events.jsonl"
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""  # a line may be half written
        records = [json.loads(line) for line in whole.splitlines()]
        return [r for r in records if not types or r["type"].removeprefix("dev.sentinel.") in types]

    def record(self, kind, name):
        """The record of this type about a session of this name, once it is there."""

        def found():
            for record in self.journal(kind):
                session = record["data"].get("session")
                if isinstance(session, dict) and session["name"] == name:
                    return record
            return None

        return until(found, f"{kind} of {name}")

    def watched(self, name):
        """Wait until a session of this name is watched; its record in ``sentinel sessions``."""

        def found():
            shown = self.sentinel("sessions", "--json")
            sessions = json.loads(shown.stdout) if shown.returncode == 0 else []
            return next((s for s in sessions if s["name"] == name and s["alive"]), None)

        return until(found, f"{name} being watched")

    def spared(self, name):
        """Guards by pid, of what was spared when that session died."""
        judged = self.record("session.judged", name)["data"]["processes"]
        return {int(v["id"].split("@")[0]): v["guard"] for v in judged if v["verdict"] == "spared"}
