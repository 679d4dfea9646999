"""SIGTERM in the middle of a clean-up: the agent goes at once, and the next one does the rest, once."""

from __future__ import annotations

import random
import time

import pytest

from tests.lab.stage import alive, until
from tests.real.conftest import settled, write

pytestmark = [pytest.mark.real, pytest.mark.parametrize("source", ["connector"], indirect=True)]

ROUNDS = 5
GRACE = 0.4
LONGEST = 5.0
"""Seconds: systemd's patience (TimeoutStopSec) after which it would have been killed. The measure is 2 s."""
STUBBORN = "bash -c 'trap : TERM; while :; do sleep 0.05; done' & "


def outcomes(stage):
    """What became of each process that was ended, over all agents."""
    done = [record["data"]["outcomes"] for record in stage.journal("cleanup.done")]
    return [outcome["target"] for each in done for outcome in each if outcome["result"] in {"ended", "killed"}]


def test_it_goes_at_once_and_nothing_is_done_twice_or_forgotten(stage):
    stage.configure(f"[policy.default]\ngrace = {GRACE}\n")
    bystander = stage.start("sleep", "600")
    moments = random.Random()  # noqa: S311 - any moment will do; a failure says which it was
    for number in range(ROUNDS):
        agent, name = stage.agent(), f"api{number}"
        actors = f"{name}-a", f"{name}-b"
        script = f"sleep 600 & {write(actors[0])}; {STUBBORN}{write(actors[1])}; wait"
        wrapper = stage.start_run(name, script)
        children = settled(stage, *actors, session=name)
        stage.kill(wrapper.pid)
        moment = moments.uniform(0, 1.5 * GRACE)
        time.sleep(moment)
        agent.terminate()
        assert agent.wait(timeout=LONGEST) == 0, moment
        following = stage.agent()
        until(lambda: not any(map(alive, children)), f"the end of all, SIGTERM after {moment}")  # noqa: B023 - called here
        stage.record("session.closed", name)
        following.terminate()
        assert following.wait(timeout=LONGEST) == 0
    intents = {record["seq"] for record in stage.journal("action.intended")}
    assert intents
    ended = outcomes(stage)
    assert len(ended) == len(set(ended))
    assert alive(bystander.pid)
    last = stage.journal()[-1]["type"]
    assert last.endswith("agent.stopped")
