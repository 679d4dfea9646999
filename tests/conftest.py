"""What every test gets."""

from __future__ import annotations

import contextlib
import signal
import subprocess

import pytest

from sentinel import paths
from tests.lab.cgroups import Groups


def pytest_configure():
    """Have nothing that a test starts ignore what we do: under nohup, or in the background of a shell.

    What is only caught here is at its default there.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(autouse=True)
def nowhere_real(tmp_path_factory):
    """No test meets the state, the agent or the tmux server of whoever runs it."""
    base = tmp_path_factory.getbasetemp() / "not-yours"
    # Not the monkeypatch fixture: it would then be undone last, after what tests tidy up.
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG", "STATE", "RUNTIME"):
            patch.setenv(f"SENTINEL_{name}_DIR", str(base / name.lower()))
        patch.setenv("XDG_CONFIG_HOME", str(base / "dotfiles"))  # where a service of theirs would be found
        for name in ("TMUX", "TMUX_PANE", "TMUX_TMPDIR"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def sleeper():
    """Start processes that sleep, and end them after the test."""
    with contextlib.ExitStack() as stack:

        def start():
            process = stack.enter_context(subprocess.Popen(["sleep", "60"]))
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def groups():
    """Control groups of the test's own. A file whose every test has them asks with ``usefixtures``: before its room."""
    groups = Groups()
    yield groups
    groups.close()


@pytest.fixture
def where(tmp_path):
    """Directories of the test's own, made and checked."""
    found = paths.Paths(tmp_path / "config", tmp_path / "state", tmp_path / "run")
    assert paths.prepare(found) == ""
    return found
