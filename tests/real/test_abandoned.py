"""An agent that is killed in the middle of a clean-up: the next one says what became of it."""

from __future__ import annotations

import json

import pytest

from tests.lab.stage import alive, until
from tests.real.conftest import POLLING, settled, write

pytestmark = pytest.mark.real

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"


def half_way(stage):
    """A pid file that was on its way into quarantine when its mover was killed. Where it was."""
    note = {"path": str(stage.home / "app.pid"), "kind": "lock", "why": [], "at": 1.0, "aside": f".sentinel-{'0' * 16}"}
    entry = f"state/quarantine/20261121T120000Z-{'0' * 16}"
    script = f"mkdir -p -m 700 {entry} && printf %s '{json.dumps(note)}' > {entry}/note.json"
    assert stage.run("bash", "-c", f"{script} && echo 4231 > {note['aside']}").returncode == 0
    return stage.home / "app.pid"


def test_the_next_agent_closes_what_the_killed_one_had_announced(stage, source):
    stage.configure((POLLING if source == "polling" else "") + "[policy.run]\ngrace = 60\n")
    agent = stage.agent()
    wrapper = stage.start_run("api", f"python3 -c '{STUBBORN}' > ready & {write('stubborn')}; exec sleep 600")
    (stubborn,) = settled(stage, "stubborn")
    ready = stage.home / "ready"
    until(lambda: ready.exists() and ready.read_text(), "the actor's own start")
    stage.kill(wrapper.pid)
    intent = stage.record("action.intended", "api")
    stage.kill(agent.pid)
    agent.wait(timeout=30)
    moved = half_way(stage)
    stage.agent()
    assert moved.read_text() == "4231\n"
    (closed,) = stage.journal("action.abandoned")
    assert (closed["data"]["intent"], closed["cause"]) == (intent["seq"], intent["seq"])
    now = {left["target"].split("@")[0]: left["now"] for left in closed["data"]["targets"]}
    assert now[str(stubborn)] == "alive"
    assert alive(stubborn)
    assert f"e{intent['seq']} about" in stage.sentinel("explain", f"e{intent['seq']}").stdout
