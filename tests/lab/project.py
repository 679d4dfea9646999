"""A project on the stage: two servers in a Procfile, and Overmind to run them.

``tests/lab/standin/overmind`` stands in for Overmind over real tmux: the real one is in neither
Debian nor PyPI. Where a real ``overmind`` is on PATH it is used instead of that.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from pathlib import Path

from tests.lab.stage import HERE, PATIENCE, alive, interpreter, until


def free_ports(number):
    """Ports that nobody has now, and that are not given to anybody who asks for any soon."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Project:
    """One project, what was said about it, and what it made."""

    def __init__(self, stage, name="shop", more="", *, overmind=True):
        self.stage = stage
        self.name = name
        self.home = stage.home / name
        self.ports = free_ports(2)
        web, front = self.ports
        stage.file(
            f"{name}/Procfile",
            f"web: exec python3 -m http.server {web} --bind 127.0.0.1\n"
            f"frontend: python3 -u -m http.server {front} --bind 127.0.0.1 & wait\n",
        )
        stage.file(f"{name}/sentinel.toml", f'[project]\nname = "{name}"\nports = [{web}, {front}]\n{more}')
        folder = stage.home / "bin"
        folder.mkdir(exist_ok=True)
        if overmind and shutil.which("overmind") is None:
            stage.file("bin/overmind", (HERE / "standin" / "overmind").read_text(), 0o755)
        # Nothing of the machine's own but these: without Overmind there must be none.
        self.path = f"{folder}:{stage.environ['PATH']}" if overmind else "/usr/bin:/bin"
        self.socket = self.home / ".overmind.sock"

    def command(self, *words):
        """A verb of Sentinel in the project's directory, as a command line for the stage."""
        return ["env", "-C", str(self.home), f"PATH={self.path}", *interpreter(), *words]

    def sentinel(self, *words):
        """Run a verb in the project's directory to its end, without a terminal."""
        done = self.stage.run(*self.command(*words))
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def right(self, *words):
        """Run a verb that must do its work; what it said."""
        done = self.sentinel(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def status(self):
        """The state, with all that is told beside it."""
        return json.loads(self.sentinel("status", ".", "--json").stdout)

    def state(self):
        return self.status()["state"]

    def manager(self):
        return self.status()["managers"][0]["pid"]

    def server(self):
        return self.status()["tmux"][0]["pid"]

    def listening(self):
        """The pids that have its ports, by port."""
        return {int(port): [one["pid"] for one in held] for port, held in self.status()["ports"].items()}

    def orphan(self, port, name="orphan", directory=None):
        """A server on one of its ports that lost its parent, as a crashed agent leaves it."""
        serve = f"exec python3 -m http.server {port} --bind 127.0.0.1"
        shell = f"cd {directory or self.home}; ({serve}) & echo $! > {self.stage.home}/{name}"
        self.stage.start("bash", "-c", shell).wait(PATIENCE)
        pid = self.stage.pid(name)
        until(lambda: self._has(pid, port), "the orphan listening")
        return pid

    def _has(self, pid, port):
        from sentinel.observe.ports import ports_of

        return port in (ports_of([pid]) or {}).get(pid, ())

    def zombie(self, number=0):
        """A tmux server of the name that Overmind gives, whose Overmind has ended."""
        label = f"overmind-{self.name}-{number:021d}"
        words = ["tmux", "-L", label, "new-session", "-d", "-s", self.name, "sleep 1000"]
        done = self.stage.run("env", "-C", str(self.home), *words)
        assert done.returncode == 0, done.stderr
        told = self.stage.run("tmux", "-L", label, "display-message", "-p", "#{pid}")
        return int(told.stdout)

    def stale_socket(self):
        bind = f"import socket; socket.socket(socket.AF_UNIX).bind({str(self.socket)!r})"
        assert self.stage.run("python3", "-c", bind).returncode == 0

    def nothing_left(self):
        """Nothing of it lives, and none of its files is in the way."""
        left = [pid for pid in self.stage.everyone() if self._is_its(pid)]
        assert not left, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
        assert not os.path.lexists(self.socket)
        assert not list(self.stage.tmp.glob(f"**/overmind-{self.name}-*"))

    def _is_its(self, pid):
        try:
            return alive(pid) and os.readlink(f"/proc/{pid}/cwd") == str(self.home)
        except OSError:
            return False

    def kill(self, pid, number=signal.SIGKILL):
        self.stage.kill(pid, number)
        until(lambda: not alive(pid), "its end")
