"""A pause that comes between two steps of a stop. That a stop works is tried in scenarios and in real."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import pytest

from sentinel.cli.alone import look_around
from sentinel.core.switches import Halt
from sentinel.environments.project import find
from sentinel.environments.stopping import Level, Stop
from sentinel.errors import SentinelError
from sentinel.observe import processes
from sentinel.switches import SwitchBoard

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.mark.parametrize("mercy", [False, True])
@pytest.mark.parametrize("verb", ["stop", "tidy"])
def test_mercy_no_file_is_put_aside_while_sentinel_is_paused(where, tmp_path, verb, mercy):
    """An empty file where Overmind's socket would be is a hindrance that one who left it cannot have meant."""
    home = tmp_path / "shop"
    home.mkdir()
    (home / "Procfile").write_text("web: sleep 1000\n")
    (home / ".overmind.sock").touch()
    stop = Stop(where, find(str(home)), lambda ledger: look_around(where, ledger), lambda _: None)
    if mercy:
        halted = Halt(since=0.0, why="a person has paused Sentinel")
        SwitchBoard(where.switches, processes.boot_id()).change(lambda now: replace(now, pause=halted))
        with pytest.raises(SentinelError, match="a person has paused Sentinel"):
            stop.tidy() if verb == "tidy" else stop.all(Level.GRACEFUL)
    else:
        stop.tidy() if verb == "tidy" else stop.all(Level.GRACEFUL)
    assert (".overmind.sock" in os.listdir(home)) is mercy
