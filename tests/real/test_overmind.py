"""What Overmind leaves, row by row, with the real agent.

``tests/lab/standin/overmind`` stands in for Overmind over real tmux: the real one is in neither
Debian nor PyPI. Where a real ``overmind`` is on PATH the same cases run against that too.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import signal
import time

import pytest

from sentinel.observe import processes
from sentinel.observe.ports import ports_of
from tests.lab.stage import HERE, alive, until
from tests.lab.tracing import lose

pytestmark = pytest.mark.real

PORT = 15300 if os.environ.get("SENTINEL_TEST_NAMESPACE") else 15100
"""Those in a pid namespace run aside, beside the others, and have the same ports."""
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

    def __init__(self, stage, overmind, name, port, procfile=PROCFILE):
        self.stage, self.overmind, self.name, self.port = stage, overmind, name, port
        self._sleepers = procfile.count("sleep")
        stage.file(f"{name}/Procfile", procfile)
        self.home = stage.home / name
        self.socket = self.home / ".overmind.sock"

    def command(self, *words):
        return ["env", "-C", str(self.home), self.overmind, *words]

    def started(self):
        """Wait until all of it runs and is watched; the pids of everything but Overmind itself."""
        until(lambda: self.socket.exists() and self.scripts() and self.tmux_sockets(), "Overmind's files")
        until(self._listening, "the server listening")
        self.pids = until(self._complete, "the agent knowing all of it")
        self.pid = self.stage.watched(self.name)["pid"]  # not before: one with -D has gone into the background by now
        return self

    def _listening(self):
        return any(self.port in ports for ports in (ports_of(self.stage.everyone()) or {}).values())

    def _complete(self):
        shown = json.loads(self.stage.sentinel("explain", str(self.name), "--json").stdout or "{}")
        names = sorted(member["name"] for member in shown.get("members", []))
        whole = (
            names.count("sleep") == self._sleepers
            and "tmux: server" in names
            and any(n.startswith("python3") for n in names)
        )
        return [member["pid"] for member in shown["members"]] if whole else None

    def scripts(self):
        return glob.glob(f"{self.stage.tmp}/overmind-{self.name}-*")

    def tmux_sockets(self):
        return glob.glob(f"{self.stage.tmp}/tmux-*/overmind-{self.name}-*")

    def server(self):
        return next(p for p in self.pids if processes.comm(p) == "tmux: server")

    def client(self):
        return next(p for p in self.pids if processes.comm(p) == "tmux: client")

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
        told = environment.stage.journal("session.judged", "cleanup.done", "handler.failed")
        raise AssertionError(f"left: {environment.left()}; told: {json.dumps(told, indent=1)}") from None


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
    shop = environments("shop", PORT)
    END[end](shop)
    nothing_left(shop)
    assert alive(bystander.pid)


def test_when_the_server_dies_after_its_overmind_nothing_is_left_either(stage, environments):
    """Both at once: what was still to be ended may be gone before its turn comes."""
    stage.agent()
    shop = environments("shop", PORT)
    server = shop.server()
    stage.kill(shop.pid)
    stage.kill(server)
    nothing_left(shop)
    stage.record("session.closed", "shop")
    assert not stage.journal("handler.failed")


def test_an_overmind_that_would_wait_for_ever_is_set_free(stage, overmind):
    """Its tmux server lost a SIGCHLD: it takes the zombie of its process for alive."""
    stage.agent()
    shop = Environment(stage, overmind, "shop", PORT, PROCFILE.splitlines()[0])
    stage.start(*shop.command("start", "-p", str(PORT)))
    shop.started()
    server = shop.server()
    lose(server, signal.SIGCHLD, lambda: stage.kill(shop.pid, signal.SIGTERM))
    nothing_left(shop)
    unstuck = until(lambda: stage.journal("tmux.unstuck"), "the cure being recorded")[0]["data"]
    assert unstuck["outcome"]["result"] == "cured"
    assert unstuck["outcome"]["target"].startswith(f"{server}@")


def test_a_daemonised_one_is_followed_and_cleaned_up_after(stage, source, overmind, terminal):
    """The end of the process that was started is not its death, nor is the end of the terminal."""
    stage.agent()
    shop = Environment(stage, overmind, "shop", PORT)
    window = terminal("bash", "--norc", "-i")
    window.type(f"cd {shop.home} && {overmind} start -D -p {PORT}\n")
    shop.started()
    window.close()
    until(lambda: not alive(window.pid), "the shell's end")
    stage.sentinel("run", "--name", "later", "--", "true")
    stage.record("session.closed", "later")
    assert set(shop.left()) >= {shop.pid, *shop.pids}
    # Between two samples its first process comes and goes unseen, or dies without an heir.
    ended = stage.journal("action.intended" if source == "polling" else "session.died")
    assert not [record for record in ended if "shop" in json.dumps(record)]
    stage.kill(shop.pid)
    nothing_left(shop)


def test_the_closed_terminal(stage, overmind, terminal):
    stage.agent()
    shop = Environment(stage, overmind, "shop", PORT)
    window = terminal("bash", "-ic", f"cd {shop.home}; {overmind} start -p {PORT}")
    shop.started()
    window.close()
    nothing_left(shop)
    until(lambda: not alive(window.pid), "the shell's end")


@pytest.mark.parametrize("source", ["connector"], indirect=True)  # it is over between two samples
def test_a_start_over_a_stale_socket_leaves_no_directory_and_frees_the_way(stage, overmind):
    stage.agent()
    shop = Environment(stage, overmind, "shop", PORT)
    stage.run("python3", "-c", f"import socket; socket.socket(socket.AF_UNIX).bind({str(shop.socket)!r})")
    assert stage.run(*shop.command("start", "-p", str(PORT))).returncode == 1
    until(lambda: not shop.scripts() and not os.path.lexists(shop.socket), "the leftovers being removed")
    stage.start(*shop.command("start", "-p", str(PORT)))
    shop.started()


@pytest.mark.parametrize("source", ["connector"], indirect=True)  # it is over between two samples
def test_a_second_start_beside_a_living_one_leaves_nothing_and_touches_nothing(stage, environments):
    stage.agent()
    shop = environments("shop", PORT)
    before = set(shop.left())
    assert stage.run(*shop.command("start", "-p", str(PORT))).returncode == 1
    stage.record("cleanup.done", "shop")
    assert set(shop.left()) == before


def test_another_one_lives_on_untouched(stage, environments):
    stage.agent()
    shop, forum = environments("shop", PORT), environments("forum", PORT + 100)
    stage.kill(shop.pid)
    nothing_left(shop)
    time.sleep(0.3)
    assert set(forum.left()) >= {forum.pid, *forum.pids, str(forum.socket)}
    assert forum.scripts()
    assert forum.tmux_sockets()


def test_one_that_ran_before_the_agent_is_found_with_all_that_is_its(stage, overmind):
    shop = Environment(stage, overmind, "shop", PORT)
    stage.start(*shop.command("start", "-p", str(PORT)))
    until(lambda: shop.socket.exists() and shop.tmux_sockets(), "Overmind's start")
    time.sleep(0.5)
    stage.agent()
    shop.started()
    stage.kill(shop.pid)
    nothing_left(shop)
