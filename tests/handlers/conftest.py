from __future__ import annotations

import asyncio
import shutil
import subprocess
from functools import partial

import pytest

from tests.handlers.room import HANG, Room, end_everything, make_program


@pytest.fixture
def room(where):
    it = Room(where)
    yield it
    it.close()
    end_everything()


@pytest.fixture
def run():
    """Run a coroutine; one that hangs fails."""

    def run(scenario):
        return asyncio.run(asyncio.wait_for(scenario, HANG))

    return run


@pytest.fixture
def program(tmp_path):
    """Make a puppet that is recognised by the name of its program."""
    return partial(make_program, tmp_path)


@pytest.fixture
def tmux(room, tmp_path):
    """Run a tmux client on a socket of the test's own. The server ends with the namespace."""
    if shutil.which("tmux") is None:
        pytest.skip("missing: tmux")

    def tmux(*arguments):
        command = ["tmux", "-S", str(tmp_path / "tmux.sock"), "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANG).stdout.strip()

    return tmux
