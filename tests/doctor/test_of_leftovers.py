"""Locks of the dead, on real files: of projects, and where the configuration says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from sentinel.config import Config, Locks
from sentinel.core.policy import Policy, Project
from sentinel.core.rules.locks import FRESH
from sentinel.doctor import of_leftovers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop" / "tmp" / "pids").mkdir(parents=True)
    (tmp_path / "locks").mkdir()
    return tmp_path


@pytest.fixture
def patient(home, where):
    config = Config(Policy(projects=(Project(str(home / "shop"), {}),)), locks=Locks(watch=(f"{home}/locks/*.pid",)))
    return SimpleNamespace(where=where, config=config, uid=os.getuid(), findings=list)


def found(patient):
    return {trouble.what.split()[0]: trouble for trouble in of_leftovers.locks(patient)}


def dead():
    with subprocess.Popen(["true"]) as process:
        pass
    return process.pid


def write(path, pid, age=60.0):
    path.write_text(f"{pid}\n")
    os.utime(path, (time.time() - age,) * 2)
    return str(path)


def test_locks_of_the_dead_are_found_in_projects_and_where_one_said(home, patient):
    paths = [write(home / "shop" / "tmp" / "pids" / "server.pid", dead()), write(home / "locks" / "db.pid", dead())]
    write(home / "elsewhere.pid", dead())  # nobody's project
    assert sorted(found(patient)) == sorted(paths)
    trouble = found(patient)[paths[0]]
    assert "has ended" in trouble.evidence[0]
    assert trouble.hint.endswith(f"rm {paths[0]}")
    assert trouble.remedy is None


def test_a_directory_that_is_a_lock_is_named_as_one(home, patient):
    lock = home / "shop" / "deploy.lock"
    lock.mkdir()
    write(lock / "pid", dead())
    os.utime(lock, (0, 0))
    assert found(patient)[str(lock)].hint.endswith(f"rm -r {lock}")


def test_mercy_what_is_held_fresh_open_or_says_nothing_is_no_finding(home, patient, sleeper):
    project = home / "shop"
    stale = write(project / "stale.pid", dead())
    write(project / "held.pid", sleeper().pid)
    write(project / "fresh.pid", dead(), age=FRESH / 2)
    write(project / "postmaster.pid", dead())
    (project / "package.lock").write_text("{}")
    with open(write(project / "open.pid", dead())) as file, subprocess.Popen(["sleep", "60"], stdin=file) as user:
        told = list(found(patient))
        user.kill()
    assert told == [stale]


def test_mercy_another_users_lock_is_no_finding(home, patient):
    write(home / "shop" / "server.pid", dead())
    patient.uid += 1
    assert found(patient) == {}
