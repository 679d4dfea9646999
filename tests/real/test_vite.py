"""A real vite in a project: npm, a shell, node with vite, and the esbuild that it bears."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.handlers.room import becomes
from tests.lab.project import Project, free_ports
from tests.lab.stage import PATIENCE, alive, until

pytestmark = [pytest.mark.real, pytest.mark.parametrize("source", ["connector"], indirect=True)]

VITE = "vite@5"
"""The last that brings esbuild and needs no more than the node of Debian 12, which is 18."""
TREE = {"npm run dev", "sh", "node", "esbuild"}
INSTALL = 60.0
"""Seconds. Where it takes longer there is no network to speak of."""


@pytest.fixture(scope="session")
def modules():
    """What npm made of vite, where every user can read it."""
    npm = shutil.which("npm", path="/usr/local/bin:/usr/bin:/bin")  # where the stage will look for it
    if npm is None:
        pytest.skip("missing: vite (npm brings it)")
    where = Path(tempfile.mkdtemp(prefix="sentinel-vite-", dir="/tmp"))
    try:
        # Scripts of packages would run as root; esbuild's program comes without.
        wishes = [
            "--ignore-scripts",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--fetch-retries=1",
            "--cache",
            str(where / "cache"),
        ]
        _npm(npm, "install", "--prefix", str(where), *wishes, VITE)
        subprocess.run(["chmod", "-R", "a+rX", str(where)], check=True)
        yield where / "node_modules"
    finally:
        shutil.rmtree(where)


def _npm(*words):
    try:
        done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=INSTALL, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("missing: vite (npm brings it)")
    if done.returncode:
        pytest.skip("missing: vite (npm brings it)")


class Site(Project):
    """A project whose one process is a script of npm, and one who is called vite elsewhere."""

    def __init__(self, stage, modules, name="shop"):
        super().__init__(stage, name)
        (self.port,) = self.ports = free_ports(1)
        stage.file(f"{name}/Procfile", "frontend: npm run dev\n")
        stage.file(f"{name}/sentinel.toml", f'[project]\nports = [{self.port}]\npatterns = ["vite"]\n')
        serve = f"vite --host 127.0.0.1 --port {self.port} --strictPort"
        stage.file(f"{name}/package.json", f'{{"private": true, "type": "module", "scripts": {{"dev": "{serve}"}}}}')
        # Its own place beside the packages belongs to another user. To read this, it starts esbuild.
        stage.file(f"{name}/vite.config.js", 'export default { cacheDir: ".vite" }\n')
        stage.file(f"{name}/index.html", "<p>it works</p>\n")
        stage.file(".npmrc", "update-notifier=false\n")
        (self.home / "node_modules").symlink_to(modules)
        self.bystander = self._bystander()

    def _bystander(self):
        """Without a parent, and of the project's pattern: only its directory says that it is not the project's."""
        program = self.stage.file("other/vite", mode=0o755)
        shutil.copy("/bin/sleep", program)
        shell = f"cd {program.parent}; (exec ./vite 1000) & echo $! > {self.stage.home}/bystander"
        self.stage.start("bash", "-c", shell).wait(PATIENCE)
        bystander = self.stage.pid("bystander")
        becomes(bystander, "vite")
        return bystander

    def tree(self):
        """Everything from npm to esbuild, by name."""
        below = {pid: name for pid in self.stage.everyone() if self._is_its(pid) and (name := _name(pid)) in TREE}
        assert set(below.values()) == TREE, below
        return below

    def gone(self, tree):
        until(lambda: not any(map(alive, tree)), f"the end of {tree}")
        assert self.listening() == {self.port: []}
        assert alive(self.bystander)


def _name(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.fixture
def site(stage, modules):
    return Site(stage, modules)


@pytest.mark.parametrize("level", ["graceful", "aggressive"])
def test_a_stop_leaves_nothing_of_a_tree_of_vite(site, level):
    site.right("start")
    assert site.state() == "healthy"
    tree = site.tree()
    site.right("stop", "--level", level)
    site.gone(tree)
    site.nothing_left()


def test_what_a_killed_manager_leaves_of_a_tree_of_vite_the_agent_ends(stage, site):
    stage.agent()
    site.right("start")
    tree = site.tree()
    stage.watched("shop")
    site.kill(site.manager())
    site.gone(tree)
    assert not stage.journal("handler.failed")
