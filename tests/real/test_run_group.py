"""What `sentinel run` bears where control groups are delegated to its user, as under a systemd user session."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.handlers.room import becomes
from tests.lab.cgroups import Groups
from tests.lab.stage import HERE, alive, lab_user, until
from tests.real.conftest import settled, write

pytestmark = pytest.mark.real


@pytest.fixture
def delegated(stage):
    """A group that belongs to the stage's user; whoever is still inside at the end is killed."""
    groups = Groups()
    groups.make("delegated")
    directory = groups.top / "delegated"
    for name in ("", "cgroup.procs", "cgroup.subtree_control"):
        os.chown(directory / name, *lab_user())
    yield directory
    (groups.top / "cgroup.kill").write_text("1")
    groups.close()


@pytest.fixture
def start_run(stage, delegated):
    def start_run(script):
        enter = delegated / "cgroup.procs"
        return stage.start_run("api", script, preexec_fn=lambda: enter.write_text("0"))

    return start_run


@pytest.fixture
def hopper(stage):
    if shutil.which("gcc") is None:
        pytest.skip("missing: gcc")
    program = stage.file("bin/hopper", mode=0o755)
    subprocess.run(["gcc", "-O2", "-Wall", "-static", "-o", program, HERE / "hopper.c"], check=True)
    return program


def inside(directory):
    """The groups of runs in there, and how many processes are in each."""
    return {
        entry: len((entry / "cgroup.procs").read_text().split())
        for entry in Path(directory).iterdir()
        if entry.is_dir()
    }


def test_the_command_has_a_group_of_its_own_that_is_gone_at_its_end(stage, start_run, delegated):
    stage.agent()
    wrapper = start_run(f"sleep 600 & {write('left')}; exec sleep 600")
    (left,) = settled(stage, "left")
    until(lambda: list(inside(delegated).values()) == [2], "the two alone in it")  # what moved the file goes first
    assert Path(f"/proc/{wrapper.pid}/cgroup").read_text().endswith("/delegated\n")
    stage.kill(wrapper.pid)
    until(lambda: not alive(left), "its end")
    until(lambda: not inside(delegated), "the end of its group")


def test_without_an_agent_it_is_gone_too(stage, start_run, delegated):
    assert start_run("sleep 600 & exit 3").wait(timeout=30) == 3
    assert inside(delegated) == {}


@pytest.mark.parametrize("source", ["connector"], indirect=True)  # polling does not see what lives for 50 us
def test_what_forks_faster_than_it_can_be_caught_comes_to_an_end(stage, start_run, delegated, hopper):
    bystander = stage.start("sleep", "600")
    stage.configure("[policy.run]\ngrace = 0.5\n")
    stage.agent()
    # It holds a pipe: on a busy machine a hop lasts long enough to be looked at, and would be a daemon.
    wrapper = start_run(f"sleep 601 | {hopper} & {write('hop')}; exec sleep 600")
    stage.pid("hop")
    stage.watched("api")
    time.sleep(0.3)
    stage.kill(wrapper.pid)
    until(lambda: not inside(delegated), "the end of the hopper")
    stage.record("session.closed", "api")
    assert alive(bystander.pid)


def test_one_that_is_spared_spares_the_group(stage, start_run, delegated, hopper):
    stage.configure("[policy.run]\ngrace = 0.5\n")
    stage.agent()
    wrapper = start_run(f"nohup sleep 600 </dev/null >/dev/null 2>&1 & {write('kept')}; {hopper} & exec sleep 600")
    (kept,) = settled(stage, "kept")
    becomes(kept, "sleep")  # before, it ignores no hang-up
    stage.kill(wrapper.pid)
    stage.record("session.judged", "api")
    time.sleep(2.5)  # beyond the grace and the last look
    assert alive(kept)
    assert not [r for r in stage.journal("action.intended") if r["data"]["action"] == "kill group"]
