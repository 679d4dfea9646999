"""A pause that comes after a person said yes. Who is ended, and who is spared, is tried in scenarios and in real."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace

import pytest

from sentinel.cli.alone import look_around
from sentinel.core.actions import Result
from sentinel.core.consent import BY_A_YES_TO_ALL
from sentinel.core.switches import Halt
from sentinel.core.verdicts import Condemned, Spared
from sentinel.environments.ending import Ending
from sentinel.environments.scene import Claim
from sentinel.observe import processes
from sentinel.switches import SwitchBoard
from tests.lab.stage import until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def sleeper():
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as process:
        until(lambda: processes.comm(process.pid) == "sleep", "its program")
        yield processes.look(process.pid)
        process.kill()


@pytest.fixture
def ending(where, sleeper):
    """Of what a person has seen, and is about to say yes to."""
    return Ending(
        where,
        "nuke",
        lambda ledger: look_around(where, ledger),
        claims={sleeper.id: Claim(sleeper, ("theirs",), managed=True)},
        roots=[],
        overridden=lambda _: BY_A_YES_TO_ALL,
    )


def pause(where):
    """Have a person do that, in another terminal."""
    halted = Halt(since=0.0, why="a person has paused Sentinel")
    SwitchBoard(where.switches, processes.boot_id()).change(lambda now: replace(now, pause=halted))


@pytest.mark.parametrize("mercy", [False, True])
def test_mercy_nobody_is_ended_once_sentinel_is_paused(where, sleeper, ending, mercy):
    assert isinstance(ending.judge()[sleeper.id], Condemned)
    again = ending.look_again()
    if mercy:
        pause(where)
    outcome = asyncio.run(ending.end(2.0))[sleeper.id]
    if mercy:
        why = "nothing is ended: a person has paused Sentinel"
        assert (outcome.result, outcome.reason) == (Result.HELD, why)
        assert processes.ended(sleeper.id) is False
        assert again(sleeper.id) == Spared(sleeper.id, "held", why)
    else:
        assert outcome.result is Result.ENDED
