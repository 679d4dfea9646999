"""The agent where nothing of Linux is. That is as near as one comes to macOS without a Mac: it starts, and reports."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.lab.stage import Stage, alive, interpreter, until

pytestmark = [pytest.mark.real, pytest.mark.parametrize("source", ["connector"], indirect=True)]

WITHOUT_PROC = 'mount -t proc proc "$0" && mount -t tmpfs none /proc && exec "$@"'


class Elsewhere(Stage):
    """Has whatever is run there see no /proc."""

    def command(self, *words, **environ):
        words = super().command(*words, PYTHONWARNINGS="ignore", **environ)  # watchdog's, at what it falls back to
        return ["unshare", "--mount", "sh", "-c", WITHOUT_PROC, str(self.proc), *words]


@pytest.fixture
def mac(stage):
    stage.__class__ = Elsewhere
    stage.proc = stage.home / "proc"
    stage.proc.mkdir()
    if subprocess.run(stage.command("true"), capture_output=True, check=False).returncode != 0:
        pytest.skip("missing: CAP_SYS_ADMIN (mount)")
    script = stage.file("without_linux.py", (Path(__file__).parents[1] / "lab" / "without_linux.py").read_text())
    words = [*(word for word in interpreter() if word not in {"-m", "sentinel"}), script, stage.proc]
    stage.sentinel = lambda *verb: stage.run(*words, *verb)
    return stage, words


def test_the_agent_starts_watches_and_only_reports(mac):
    stage, words = mac
    agent = stage.start(*words, "agent", stderr=subprocess.PIPE, text=True)
    until(lambda: agent.poll() is not None or stage.sentinel("status").returncode == 0, "the agent's start")
    assert agent.poll() is None, agent.stderr.read()
    assert "by polling (the proc connector is Linux's)" in stage.sentinel("status").stdout
    left = f"sleep 1000 >/dev/null 2>&1 & echo $! > {stage.home}/left; sleep 1; exit 3"
    assert stage.sentinel("run", "--name", "job", "--", "sh", "-c", left).returncode == 3
    assert set(stage.spared("job")) == {stage.pid("left")}
    assert alive(stage.pid("left"))
    shown = json.loads(stage.sentinel("explain", str(stage.pid("left")), "--json").stdout)
    assert "this system does not tell" in json.dumps(shown)
    agent.send_signal(signal.SIGINT)
    assert agent.wait(20) == 0
    assert "Traceback" not in agent.stderr.read()
    assert stage.journal("agent.stopped")
