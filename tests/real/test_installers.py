"""A real systemd runs the Sentinel that was installed, whatever put it there: pipx, uv tool, pip or a checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sentinel
from tests.lab.stage import until
from tests.lab.systemd import build_wheel

pytestmark = [pytest.mark.real, pytest.mark.aside]

VERSION = "9.9.9"
HOME = "/mnt"
"""Where the programs are, for the manager and its user: what lies in /tmp is refused, since it may be cleared away."""
BUILD = ("hatchling>=1.25", "editables")
"""What it takes to install a checkout."""
CHECKOUT = Path(sentinel.__file__).parent.parent


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """This Sentinel and all that it needs, so that no installer has to ask a package index."""
    place = tmp_path_factory.mktemp("wheels")
    ours = build_wheel(tmp_path_factory.mktemp("ours"), VERSION)
    fetch = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", place, ours, *BUILD]
    done = subprocess.run(fetch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def install(manager, tmp_path):
    """Runs an installer in the manager's world, in a home that everybody may enter."""
    tmp_path.chmod(0o755)
    manager.as_root("mount", "--bind", tmp_path, HOME)

    def run(*words):
        return manager.as_root("env", "-i", f"HOME={HOME}", "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", *words)

    return run


def served_by(manager, program):
    """The interpreter of the service that this program installs, and the version of the agent that it starts."""
    done = manager.run(program, "install", "--only", "service", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: manager.show("StatusText").startswith("watching"), "the service")
    unit = (manager.stage.home / ".config/systemd/user/sentinel.service").read_text()
    (started,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    version = json.loads(manager.run(program, "status", "--json").stdout)["version"]
    assert manager.run(program, "uninstall", "--yes").returncode == 0
    return started.removeprefix("ExecStart=").split()[0], version


def test_pipx(manager, install, wheels):
    index = f"--pip-args=--no-index --find-links={wheels}"
    install(sys.executable, "-m", "pipx", "install", "--quiet", "--python=/usr/bin/python3", index, "session-sentinel")
    python, version = served_by(manager, f"{HOME}/.local/bin/sentinel")
    assert python == f"{HOME}/.local/share/pipx/venvs/session-sentinel/bin/python"
    assert version == VERSION


def test_uv_tool(manager, install, wheels):
    uv = shutil.which("uv", path=os.path.dirname(sys.executable))
    offline = ["--offline", "--no-index", "--find-links", wheels, "--python=/usr/bin/python3"]
    install(uv, "tool", "install", "--quiet", *offline, "session-sentinel")
    python, version = served_by(manager, f"{HOME}/.local/bin/sentinel")
    assert python == f"{HOME}/.local/share/uv/tools/session-sentinel/bin/python"
    assert version == VERSION


def test_pip(manager, install, wheels):
    install("/usr/bin/python3", "-m", "venv", f"{HOME}/tools")
    index = ["--no-index", "--find-links", wheels]
    install(f"{HOME}/tools/bin/python", "-m", "pip", "install", "--quiet", *index, "session-sentinel")
    python, version = served_by(manager, f"{HOME}/tools/bin/sentinel")
    assert python.startswith(f"{HOME}/tools/bin/python")
    assert version == VERSION


def test_a_checkout(manager, install, wheels, tmp_path):
    shutil.copytree(CHECKOUT, tmp_path / "checkout", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    install("/usr/bin/python3", "-m", "venv", f"{HOME}/checkout/.venv")
    index = ["--no-index", "--find-links", wheels]
    python = f"{HOME}/checkout/.venv/bin/python"
    install(python, "-m", "pip", "install", "--quiet", *index, "--editable", f"{HOME}/checkout")
    found, version = served_by(manager, f"{HOME}/checkout/.venv/bin/sentinel")
    assert (found.startswith(python), version) == (True, sentinel.__version__)
