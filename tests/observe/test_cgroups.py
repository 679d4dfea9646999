"""Where processes stand, in real control groups."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sentinel.core.facts import Unknown
from sentinel.observe import cgroups

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


@pytest.fixture
def child(groups):
    process = subprocess.Popen(["/bin/sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_where_it_was_put(groups, child):
    scope = groups.make_panes()
    groups.move(child.pid, scope)
    assert cgroups.of(child.pid) == scope
    assert cgroups.processes_in(scope) == [child.pid]


def test_whoever_is_further_below_is_inside_too(groups, child):
    scope = groups.make_panes()
    groups.move(child.pid, groups.make(f"{scope.split('/', 2)[2]}/inner"))
    assert cgroups.processes_in(scope) == [child.pid]


def test_who_moves_between_two_groups_within_the_look_is_seen(groups, child, monkeypatch):
    """Whoever is not seen here is killed with the others, and nobody has judged him."""
    scope = groups.make_panes()
    below = {name: groups.make(f"{scope.split('/', 2)[2]}/{name}") for name in ("one", "other")}
    walk, passed = os.walk, []

    def walk_by(top, **more):
        for folder, *rest in walk(top, **more):
            name = folder.rpartition("/")[2]
            if name in below and len(passed) < 2:
                passed.append(name)  # it stands in the last one of them until the first was passed
                groups.move(child.pid, below[{"one": "other", "other": "one"}[name] if len(passed) == 1 else passed[0]])
            yield folder, *rest

    monkeypatch.setattr(os, "walk", walk_by)
    assert cgroups.processes_in(scope) == [child.pid]
    assert len(passed) == 2


def test_what_is_gone_is_not_empty(groups, child):
    assert isinstance(cgroups.processes_in(f"/{groups.top.name}/none"), Unknown)
    child.kill()
    child.wait()
    assert isinstance(cgroups.of(child.pid), Unknown)


@pytest.mark.parametrize("path", ["", "relative", "/../elsewhere"])
def test_what_cannot_be_seen_from_here_is_unknown(path):
    assert cgroups.directory_of(path) is None
    assert isinstance(cgroups.processes_in(path), Unknown)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/user.slice/a.scope\n", "/user.slice/a.scope"),
        ("9:name=systemd:/user.slice/a.scope\n8:pids:/x\n0::/user.slice/a.scope\n", "/user.slice/a.scope"),
        ("9:name=systemd:/user.slice/a.scope\n0::/\n", "/user.slice/a.scope"),
        ("9:name=systemd:/\n4:memory:/deep\n0::/\n", "/"),
        ("4:memory:/deep\n", ""),
        ("0::/odd:name\n", "/odd:name"),
        ("", ""),
    ],
)
def test_the_hierarchy_of_units_is_the_one_that_counts(tmp_path, monkeypatch, text, path):
    # Stands in for other systems' set-ups: this one has a single kind of hierarchy mounted.
    file = tmp_path / "cgroup"
    file.write_text(text)
    real = open
    monkeypatch.setattr(
        "builtins.open", lambda name, *a, **k: real(file if name == "/proc/5/cgroup" else name, *a, **k)
    )
    assert cgroups.of(5) == path


def test_our_own_place_is_known():
    assert isinstance(cgroups.of(os.getpid()), str)
