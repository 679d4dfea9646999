"""An agent that is killed in the middle of a clean-up: the next one says what became of it."""

from __future__ import annotations

import pytest

from tests.lab.stage import alive, until
from tests.real.conftest import POLLING, settled, write

pytestmark = pytest.mark.real

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"


def test_the_next_agent_closes_what_the_killed_one_had_announced(stage, source):
    stage.configure((POLLING if source == "polling" else "") + "[policy.run]\ngrace = 60\n")
    agent = stage.agent()
    wrapper = stage.start_run("api", f"python3 -c '{STUBBORN}' > ready & {write('stubborn')}; exec sleep 600")
    (stubborn,) = settled(stage, "stubborn")
    until((stage.home / "ready").read_text, "the actor's own start")
    stage.kill(wrapper.pid)
    intent = stage.record("action.intended", "api")
    stage.kill(agent.pid)
    agent.wait(timeout=30)
    stage.agent()
    (closed,) = stage.journal("action.abandoned")
    assert (closed["data"]["intent"], closed["cause"]) == (intent["seq"], intent["seq"])
    now = {left["target"].split("@")[0]: left["now"] for left in closed["data"]["targets"]}
    assert now[str(stubborn)] == "alive"
    assert alive(stubborn)
    assert f"e{intent['seq']} about" in stage.sentinel("explain", f"e{intent['seq']}").stdout
