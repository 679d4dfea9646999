from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from sentinel.cli import hooks
from sentinel.core.events import HookFired
from sentinel.integrations.hookfile import EVENTS
from sentinel.integrations.known import INTEGRATIONS
from sentinel.journal import Journal


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CONFIG", "STATE", "RUNTIME"):
        monkeypatch.setenv(f"SENTINEL_{name}_DIR", str(tmp_path / name.lower()))
    # Where the tests run may be a place that is cleared away, which real ones refuse.
    monkeypatch.setattr("sentinel.service.command.ours", lambda _: ["/opt/sentinel/python", "-P", "-m", "sentinel"])
    (tmp_path / ".claude").mkdir()
    return tmp_path


def run(*words):
    done = CliRunner().invoke(hooks.command, words, catch_exceptions=False)
    return done.exit_code, done.output


def test_without_a_yes_and_nobody_to_ask_nothing_is_changed(home):
    status, said = run("install", "claude")
    assert status == 1
    assert "hook claude SessionStart" in said
    assert "nothing was changed: nobody is here to ask; say --yes" in said
    assert not (home / ".claude" / "settings.json").exists()


def test_in_and_out_again(home):
    assert run("uninstall", "claude") == (0, "claude: no hooks of Sentinel are there.\n")
    assert run("install", "claude", "--yes")[0] == 0
    assert run("install", "claude") == (0, "claude: the hooks are there as they should be.\n")
    status, said = run("uninstall", "claude", "--yes")
    assert (status, said.splitlines()[-1]) == (0, "claude: done")
    assert not (home / ".claude" / "settings.json").exists()


def test_what_is_shown_of_others_settings_obeys_no_terminal(home):
    (home / ".claude" / "settings.json").write_text('{"a\x7f": "\u202e"\n}')
    assert "\x7f" not in (said := run("install", "claude")[1])
    assert "\\x7f" in said


def test_what_one_is_asked_to_agree_to_is_shown_whole(home):
    (home / ".claude" / "settings.json").write_text(json.dumps({"long": "x" * 5000}))
    said = run("install", "claude")[1]
    assert "…" not in said
    assert all(f"hook claude {event} ||" in said for event in EVENTS)


def test_what_is_left_for_the_person(home):
    (home / ".codex").mkdir()
    assert run("install", "codex", "--yes")[1].endswith("Codex asks first: review it in Codex with: /hooks\n")


def test_how_all_of_them_stand(home):
    run("install", "claude", "--yes")
    (home / "state").mkdir(exist_ok=True)
    journal = Journal(home / "state" / "events.jsonl", "boot")
    for event in ("SessionStart", "Stop"):
        journal.record(HookFired(None, "claude", event), 0)
    journal.record(HookFired(None, "other", "SessionEnd"), 0)
    journal.close()
    status, said = run("status")
    lines = said.splitlines()
    assert (status, len(lines)) == (0, len(INTEGRATIONS))
    assert lines[0].startswith("claude: installed in ~/.claude/settings.json; will be run; Stop fired last, 2")
    assert lines[1] == "codex: not installed: there is no ~/.codex"
    told = json.loads(run("status", "claude", "--json")[1])
    assert [(one["program"], one["installed"], one["trusted"], one["event"]) for one in told] == [
        ("claude", True, True, "Stop")
    ]


def test_settings_that_nobody_can_read_are_said_and_no_reason_to_stop(home):
    (home / ".claude" / "settings.json").write_text("{")
    status, said = run("status")
    assert status == 0
    assert said.startswith("claude: not installed: ~/.claude/settings.json was left as it is: line 1")
