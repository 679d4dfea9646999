"""The stage, under each of the two sources of births and deaths.

``connector``: in the initial pid namespace, as a user that owns nothing else. ``polling``: the
same scenario in a pid namespace of its own, where the connector's numbers mean nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from sentinel.notify import session_bus
from tests.lab.desktop import LAB, Desktop, bare_bus, environment, need, raised
from tests.lab.stage import Stage, lab_user, until
from tests.lab.systemd import UserManager, install_program, make_environment
from tests.lab.terminal import Terminal

INITIAL = 0xEFFFFFFC
"""The number that the kernel gives to the initial pid namespace."""
POLLING = '[sources]\nprocesses = "polling"\npoll_interval = 0.05\n'


@pytest.fixture(params=["connector", pytest.param("polling", marks=pytest.mark.namespace)])
def source(request):
    initial = os.stat("/proc/self/ns/pid").st_ino == INITIAL
    if request.param == "connector" and not initial:
        pytest.skip("missing: the initial pid namespace")
    return request.param


@pytest.fixture
def stage(source):
    lab_user()  # skips where there is none
    root = Path(tempfile.mkdtemp(prefix="sentinel-stage-", dir="/tmp"))
    try:
        stage = Stage(root, POLLING if source == "polling" else "")
        yield stage
        stage.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def program():
    """Sentinel in a Python environment of its own."""
    lab_user()  # skips where there is none
    if os.stat("/proc/self/ns/pid").st_ino != INITIAL:
        pytest.skip("missing: the initial pid namespace")
    where = Path(tempfile.mkdtemp(prefix="sentinel-program-", dir="/tmp"))
    yield install_program(where)
    shutil.rmtree(where)


@pytest.fixture
def manager(program):
    """A real systemd of the lab's user, who has just logged in."""
    yield from _logged_in(program)


@pytest.fixture
def bare_manager(program, tmp_path):
    """The same, with an environment of its own in which there is no Sentinel yet."""
    where = Path(tempfile.mkdtemp(prefix="sentinel-program-", dir="/tmp"))
    yield from _logged_in(make_environment(where))
    shutil.rmtree(where)


def _logged_in(program):
    root = Path(tempfile.mkdtemp(prefix="sentinel-stage-", dir="/tmp"))
    try:
        manager = UserManager(Stage(root), program)
        yield manager
        manager.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def terminal(stage):
    """Opens terminals, and closes what a failed test left open."""
    opened = []

    def start(*words):
        opened.append(Terminal(stage, *words))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def write(name):
    """Shell words that write the pid of the last background job into a file."""
    return f"echo $! > {name}.tmp && mv {name}.tmp {name}"


def settled(stage, *names, session="api"):
    """The pids of these actors, once the agent has all of them in the ledger of that session."""
    pids = [stage.pid(name) for name in names]
    key = stage.watched(session)["key"]

    def known():
        shown = stage.sentinel("explain", key, "--json")
        members = {m["pid"] for m in json.loads(shown.stdout).get("members", [])} if shown.stdout else set()
        return members.issuperset(pids)

    until(known, "the agent knowing them all")
    return pids


def owned(stage, *pids):
    """Wait until the agent has each of these in the ledger of whatever session."""

    def known():
        shown = [json.loads(stage.sentinel("explain", str(pid), "--json").stdout or "{}") for pid in pids]
        return all("owned by" in " ".join(s.get("evidence", [])) for s in shown)

    until(known, "the agent knowing them all")


@pytest.fixture(scope="module")
def desktop(tmp_path_factory):
    """A desktop with dunst."""
    need("Xvfb", "dunst", "dunstctl", "notify-send", "dbus-run-session")
    with raised(tmp_path_factory.mktemp("desktop")) as environ:
        yield Desktop(environ)


@pytest.fixture
def bus(tmp_path, monkeypatch):
    """A bus on which nobody shows notifications and from which nobody can be started."""
    need("dbus-daemon", "notify-send")
    monkeypatch.setattr(session_bus, "USER_RUNTIME", str(tmp_path / "nowhere"))
    with bare_bus(tmp_path) as environ:
        yield environ


@pytest.fixture
def sitting(stage):
    """The stage's user sits at a desktop, and the environment says so. Where that has its files."""
    need("Xvfb", "dunst", "dunstctl", "dbus-run-session")
    lab = stage.file("notify_lab.sh", LAB.read_text(), 0o755)
    with (stage.home / "noise").open("wb") as noise:
        process = stage.start(
            "bash", lab, "sh", "-c", "env -0 >environ; echo up; read -r _",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise,
        )  # fmt: skip
        environ = environment(process.stdout, stage.home / "environ")
        stage.environ |= {name: environ[name] for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY")}
        yield Path(environ["LAB"])
        process.stdin.close()
        process.wait()
