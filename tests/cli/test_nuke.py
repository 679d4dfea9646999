"""What nuke does of itself: the files that projects left. Whom it ends is tried in real/test_environment."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from sentinel.cli import nuke
from sentinel.environments.exclusion import alone
from sentinel.environments.project import find

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def projects(here, tmp_path, monkeypatch):
    """Two projects, in each of which a file stands where Overmind's socket would be. Nobody is to be ended."""
    found = []
    for name in ("forum", "shop"):
        home = tmp_path / name
        home.mkdir()
        (home / "Procfile").write_text("web: sleep 1000\n")
        (home / ".overmind.sock").touch()
        found.append(find(str(home)))
    # The real one looks at the whole machine.
    machine = SimpleNamespace(projects=found, listed=list, sessions=list)
    monkeypatch.setattr(nuke, "Nuke", lambda *_: machine)
    monkeypatch.setattr(nuke, "PATIENCE", 0.0)
    return found


def left(project):
    return os.path.exists(f"{project.directory}/.overmind.sock")


def test_the_files_of_all_projects_are_removed(projects):
    done = CliRunner().invoke(nuke.command, ["--yes"])
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "all clear; spared: 0 processes")
    assert not any(map(left, projects))


def test_a_project_that_somebody_is_at_keeps_the_others_from_nothing(projects, where):
    forum, shop = projects
    with alone(where, forum, "start", 0):
        done = CliRunner().invoke(nuke.command, ["--yes"])
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, "the files of 1 project stay")
    assert f"project forum ({forum.directory})\n  forum is being changed by process" in done.stdout
    assert left(forum)
    assert not left(shop)
