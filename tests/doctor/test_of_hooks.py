"""Hooks that were installed and are not whole, not run or not ours any more; and none where nobody wants any."""

from __future__ import annotations

import json
import os
import shutil
import sys
from types import SimpleNamespace

import pytest

from sentinel import paths
from sentinel.doctor import of_hooks
from sentinel.doctor.check import CouldNotCheck
from sentinel.integrations import claude, tmux_everywhere
from sentinel.integrations.known import integration
from sentinel.integrations.plan import Host
from tests.handlers.room import end_everything
from tests.lab.tmuxes import Server

US = ["/opt/sentinel/python", "-P", "-m", "sentinel"]


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(claude, "MANAGED", ())  # the real ones are the machine's
    # Where the tests run may be a place that is cleared away, which the real one refuses.
    monkeypatch.setattr(of_hooks, "ours", lambda _: US)
    for name in (".claude", ".codex"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def patient(where):
    return SimpleNamespace(where=where)


def install(home, patient, name, words=US):
    integration(name).install(Host(home, patient.where.state, {}), words).make()


def found(patient, check=of_hooks.of_agents):
    return [trouble.what for trouble in check(patient)]


def test_who_has_no_hooks_lacks_nothing(home, patient):
    (home / ".claude" / "settings.json").write_text('{"model": "x"}')
    assert found(patient) == []


def test_hooks_that_are_whole_and_will_be_run_are_well(home, patient):
    install(home, patient, "claude")
    assert found(patient) == []


def test_hooks_that_nobody_runs_are_told_with_the_reason(home, patient):
    install(home, patient, "codex")
    (trouble,) = of_hooks.of_agents(patient)
    assert trouble.what == "the hooks of codex in ~/.codex/hooks.json do not all work"
    assert trouble.evidence[0].startswith("SessionStart was not reviewed yet")


def test_some_that_are_missing_are_told(home, patient):
    install(home, patient, "claude")
    file = home / ".claude" / "settings.json"
    settings = json.loads(file.read_text())
    del settings["hooks"]["Stop"]
    file.write_text(json.dumps(settings))
    (trouble,) = of_hooks.of_agents(patient)
    assert (trouble.evidence[0], trouble.hint) == ("nothing for Stop", "sentinel hooks install claude")


def test_hooks_that_start_something_that_is_not_there_any_more_are_told(home, patient):
    install(home, patient, "claude", ["/opt/before/python", "-m", "sentinel"])
    assert found(patient) == ["the hooks of claude in ~/.claude/settings.json do not start this Sentinel"]


def test_settings_that_nobody_can_read_are_no_answer_and_the_others_are_looked_at(home, patient):
    (home / ".claude" / "settings.json").write_text("{")
    install(home, patient, "codex")
    troubles = of_hooks.of_agents(patient)
    assert next(troubles).what.startswith("the hooks of codex")
    with pytest.raises(CouldNotCheck, match="claude: "):
        next(troubles)


@pytest.mark.namespace
@pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
def test_a_server_that_lost_the_hooks_that_are_wanted_is_told(tmp_path, monkeypatch):
    if not (program := shutil.which("tmux")):
        pytest.skip("missing: tmux")
    monkeypatch.setenv("SENTINEL_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(tmux_everywhere, "_DEADLINE", 20.0)  # for machines that have much else to do
    patient = SimpleNamespace(where=paths.find())
    server = Server(program, tmp_path / "one")
    try:
        assert found(patient, of_hooks.of_tmux) == []  # nobody wants them
        integration("tmux").install(Host(tmp_path, patient.where.state, os.environ), ()).make()
        assert found(patient, of_hooks.of_tmux) == []
        server("set-hook", "-g", "session-closed", "display-message x")
        (trouble,) = of_hooks.of_tmux(patient)
        assert trouble.evidence[0] == f"{server.path} lacks 1 hook"
        assert trouble.hint == "sentinel hooks install tmux"
    finally:
        end_everything()
