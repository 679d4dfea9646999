"""A command is born in a control group of its own, where one may be made: as its user, in a delegated one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from sentinel.cli import own_group
from sentinel.core.facts import ProcessId
from sentinel.core.scopes import is_of
from sentinel.observe import cgroups, processes
from tests.lab.stage import interpreter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")


@pytest.fixture
def child(groups):
    """Runs a function as another user, in a group that is delegated to that one; its answer is a line."""

    def run(script, *, delegated=True):
        directory = groups.top / "delegated"
        groups.make("delegated")
        if delegated:
            for name in ("", "cgroup.procs", "cgroup.subtree_control"):
                os.chown(directory / name, 12345, 12345)

        def enter():
            (directory / "cgroup.procs").write_text("0")
            os.setresuid(12345, 12345, 12345)

        code = f"import os, sys, signal\nfrom sentinel.cli import own_group\n{script}"
        python = interpreter()[: interpreter().index("-m")]
        done = subprocess.run(
            [*python, "-c", code],
            capture_output=True,
            text=True,
            preexec_fn=enter,
            check=False,
            timeout=30,
            env={"PATH": "/usr/bin:/bin"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    if os.getuid() != 0:
        pytest.skip("missing: root (to hand a group to another user)")
    return run


PREPARE = """
from sentinel.observe import processes
group = own_group.make(processes.identify(os.getpid()))
"""
SPAWN = PREPARE + "pid = group.spawn({argv!r}, dict(os.environ, SAID='yes'), {defaults!r})\n"


def test_the_command_is_born_in_it_and_it_is_gone_in_the_end(child, groups):
    script = SPAWN.format(argv=("sh", "-c", "grep ^0: /proc/self/cgroup; echo $SAID"), defaults=())
    where, said, status, left = child(
        script + "print(os.waitpid(pid, 0)[1]); group.remove(); print(os.path.exists(group._directory))"
    )
    name = where.rpartition("/")[2]
    pid, start = map(int, name.removeprefix("sentinel-run-").split("-"))
    assert where == f"0::/{groups.top.name}/delegated/{name}"
    assert is_of(ProcessId(pid, start), where)
    assert (said, status, left) == ("yes", "0", "False")


def test_what_it_ignored_for_itself_the_command_heeds(child):
    script = "signal.signal(signal.SIGPIPE, signal.SIG_IGN); signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    script += SPAWN.format(argv=("grep", "SigIgn", "/proc/self/status"), defaults=(int(signal.SIGPIPE),))
    _, ignored = child(script + "os.waitpid(pid, 0)")
    assert not int(ignored, 16) >> signal.SIGPIPE - 1 & 1
    assert int(ignored, 16) >> signal.SIGHUP - 1 & 1


@pytest.mark.parametrize(
    ("argv", "error"), [(("no-such-command",), "FileNotFoundError"), (("/etc/passwd",), "PermissionError")]
)
def test_a_command_that_cannot_run_is_told_as_ever(child, argv, error):
    script = f"try: group.spawn({argv!r}, dict(os.environ), ())\nexcept OSError as e: print(type(e).__name__)\n"
    script += "try: os.wait()\nexcept ChildProcessError: print('reaped')"
    assert child(PREPARE + script) == [error, "reaped"]


def test_a_group_that_somebody_lives_in_stays(child):
    script = SPAWN.format(argv=("sleep", "60"), defaults=())
    script += "group.remove(); print(os.path.exists(group._directory)); os.kill(pid, 9); os.waitpid(pid, 0)"
    assert child(script) == ["True"]


def test_where_it_is_not_ours_to_divide_none_is_made(child, groups):
    assert child(PREPARE + "print(group)", delegated=False) == ["None"]
    assert [entry.name for entry in (groups.top / "delegated").iterdir() if entry.is_dir()] == []


def test_none_is_made_at_the_top():
    if cgroups.unified(os.getpid()).strip("/"):
        pytest.skip("missing: a process at the top of the hierarchy")
    assert own_group.make(processes.identify(os.getpid())) is None


def test_a_kernel_that_refuses_is_no_misfortune(child):
    script = SPAWN.format(argv=("true",), defaults=()).replace(
        "group.spawn", "(setattr(own_group, '_CLONE3', 9999), group)[1].spawn"
    )
    assert child(script + "print(pid)") == ["None"]
