"""What Overmind leaves, row by row, with the real agent.

``tests/lab/standin/overmind`` stands in for Overmind over real tmux: the real one is in neither
Debian nor PyPI. Where a real ``overmind`` is on PATH the same cases run against that too.
"""

from __future__ import annotations

import glob
import os
import pty
import shutil
import signal
import time
from pathlib import Path

import pytest

from sentinel.observe.sockets import ports_of
from tests.lab.stage import HERE, alive, until

pytestmark = pytest.mark.real

PROCFILE = """web: python3 -m http.server $PORT --bind 127.0.0.1 >/dev/null 2>&1
child: bash -c 'sleep 600; true'
own: setsid sleep 601 & exec sleep 602
"""


@pytest.fixture(params=["stand-in", "real"])
def overmind(request, stage):
    """The program, as a path that the user of the stage can run."""
    if request.param == "real":
        found = shutil.which("overmind")
        if found is None:
            pytest.skip("missing: a real overmind")
        return found
    return str(stage.file("bin/overmind", (HERE / "standin" / "overmind").read_text(), 0o755))


class Environment:
    """A project in which Overmind runs, and what it made."""

    def __init__(self, stage, overmind, name, port):
        self.stage, self.overmind, self.name, self.port = stage, overmind, name, port
        stage.file(f"{name}/Procfile", PROCFILE)
        self.home = stage.home / name
        self.socket = self.home / ".overmind.sock"

    def command(self, *words):
        return ["env", "-C", str(self.home), self.overmind, *words]

    def started(self):
        """Wait until all of it runs and is watched; the pids of everything but Overmind itself."""
        session = self.stage.watched(self.name)
        self.pid = session["pid"]
        until(lambda: self.socket.exists() and self.scripts() and self.tmux_sockets(), "Overmind's files")
        until(self._listening, "the server listening")
        self.pids = until(self._complete, "the agent knowing all of it")
        return self

    def _listening(self):
        return any(self.port in ports for ports in (ports_of(self.stage.everyone()) or {}).values())

    def _complete(self):
        import json

        shown = json.loads(self.stage.sentinel("explain", str(self.name), "--json").stdout)
        names = sorted(member["name"] for member in shown.get("members", []))
        whole = names.count("sleep") == 3 and "tmux: server" in names and any(n.startswith("python3") for n in names)
        return [member["pid"] for member in shown["members"]] if whole else None

    def scripts(self):
        return glob.glob(f"{self.stage.tmp}/overmind-{self.name}-*")

    def tmux_sockets(self):
        return glob.glob(f"{self.stage.tmp}/tmux-*/overmind-{self.name}-*")

    def server(self):
        return next(p for p in self.pids if Path(f"/proc/{p}/comm").read_text() == "tmux: server\n")

    def client(self):
        return next(p for p in self.pids if Path(f"/proc/{p}/comm").read_text() == "tmux: client\n")

    def left(self):
        """Everything that is still there of it."""
        files = [str(self.socket)] if os.path.lexists(self.socket) else []
        return [pid for pid in [self.pid, *self.pids] if alive(pid)] + files + self.scripts() + self.tmux_sockets()


@pytest.fixture
def environments(stage, overmind):
    """Makes projects with a running Overmind in each."""

    def start(name, port, **options):
        made = Environment(stage, overmind, name, port)
        stage.start(*made.command("start", "-p", str(port)), **options)
        return made.started()

    return start


def nothing_left(environment):
    def gone():
        return not environment.left()

    try:
        until(gone, "the end of all of it")
    except AssertionError:
        raise AssertionError(f"left: {environment.left()}") from None


END = {
    "SIGKILL of overmind": lambda e: e.stage.kill(e.pid),
    "SIGKILL of the tmux server": lambda e: e.stage.kill(e.server()),
    "SIGTERM of the tmux server": lambda e: e.stage.kill(e.server(), signal.SIGTERM),
    "SIGKILL of the tmux client": lambda e: e.stage.kill(e.client()),
    "kill-server": lambda e: e.stage.run("tmux", "-S", e.tmux_sockets()[0], "kill-server"),
    "kill-session": lambda e: e.stage.run("tmux", "-S", e.tmux_sockets()[0], "kill-session"),
    "SIGHUP": lambda e: e.stage.kill(e.pid, signal.SIGHUP),
    "SIGTERM": lambda e: e.stage.kill(e.pid, signal.SIGTERM),
    "SIGINT": lambda e: e.stage.kill(e.pid, signal.SIGINT),
    "overmind quit": lambda e: e.stage.run(*e.command("quit")),
    "overmind kill": lambda e: e.stage.run(*e.command("kill")),
}


@pytest.mark.parametrize("end", END)
def test_after_each_end_nothing_is_left_of_it(stage, environments, end):
    bystander = stage.start("bash", "-c", "exec -a overmind sleep 600")
    stage.agent()
    shop = environments("shop", 15100)
    END[end](shop)
    nothing_left(shop)
    assert alive(bystander.pid)


def test_a_daemonised_one_is_followed_and_cleaned_up_after(stage, source, overmind):
    stage.agent()
    shop = Environment(stage, overmind, "shop", 15100)
    assert stage.run(*shop.command("start", "-D", "-p", "15100")).returncode == 0
    shop.started()
    time.sleep(0.5)
    assert alive(shop.pid)
    # Between two samples its first process comes and goes unseen, or dies without an heir.
    assert not stage.journal("action.intended" if source == "polling" else "session.died")
    stage.kill(shop.pid)
    nothing_left(shop)


def test_the_closed_terminal(stage, overmind):
    stage.agent()
    shop = Environment(stage, overmind, "shop", 15100)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("setpriv", stage.command("bash", "-ic", f"cd {shop.home}; {overmind} start -p 15100"))  # noqa: S606
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
    os.set_blocking(terminal, False)
    shop.started()
    os.close(terminal)
    nothing_left(shop)
    until(lambda: not alive(pid), "the shell's end")
    os.waitpid(pid, 0)


@pytest.mark.parametrize("source", ["connector"], indirect=True)  # it is over between two samples
def test_a_start_over_a_stale_socket_leaves_no_directory_and_frees_the_way(stage, overmind):
    stage.agent()
    shop = Environment(stage, overmind, "shop", 15100)
    stage.run("python3", "-c", f"import socket; socket.socket(socket.AF_UNIX).bind({str(shop.socket)!r})")
    assert stage.run(*shop.command("start", "-p", "15100")).returncode == 1
    until(lambda: not shop.scripts() and not os.path.lexists(shop.socket), "the leftovers being removed")
    stage.start(*shop.command("start", "-p", "15100"))
    shop.started()


@pytest.mark.parametrize("source", ["connector"], indirect=True)  # it is over between two samples
def test_a_second_start_beside_a_living_one_leaves_nothing_and_touches_nothing(stage, environments):
    stage.agent()
    shop = environments("shop", 15100)
    before = set(shop.left())
    assert stage.run(*shop.command("start", "-p", "15100")).returncode == 1
    stage.record("cleanup.done", "shop")
    assert set(shop.left()) == before


def test_another_one_lives_on_untouched(stage, environments):
    stage.agent()
    shop, forum = environments("shop", 15100), environments("forum", 15200)
    stage.kill(shop.pid)
    nothing_left(shop)
    time.sleep(0.3)
    assert set(forum.left()) >= {forum.pid, *forum.pids, str(forum.socket)}
    assert forum.scripts()
    assert forum.tmux_sockets()


def test_one_that_ran_before_the_agent_is_found_with_all_that_is_its(stage, overmind):
    shop = Environment(stage, overmind, "shop", 15100)
    stage.start(*shop.command("start", "-p", "15100"))
    until(lambda: shop.socket.exists() and shop.tmux_sockets(), "Overmind's start")
    time.sleep(0.5)
    stage.agent()
    shop.started()
    stage.kill(shop.pid)
    nothing_left(shop)
