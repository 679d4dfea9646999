"""Codex runs what its user has reviewed. Nothing is written into ``config.toml``."""

from __future__ import annotations

import pytest

from sentinel.integrations.codex import integration
from sentinel.integrations.hookfile import EVENTS
from sentinel.integrations.plan import Host

KEYS = ("session_start", "session_end", "stop", "subagent_stop")


@pytest.fixture
def host(tmp_path):
    (tmp_path / ".codex").mkdir()
    host = Host(tmp_path, tmp_path / "state", {})
    integration.install(host, ("/bin/sentinel",)).make()
    return host


def config(host, *lines):
    (host.home / ".codex" / "config.toml").write_text("\n".join(lines) + "\n")


def reviewed(host, *keys, place=0, line='trusted_hash = "sha256:00"'):
    file = host.home / ".codex" / "hooks.json"
    return [text for key in keys for text in (f'[hooks.state."{file}:{key}:{place}:0"]', line)]


def test_what_nobody_has_reviewed_is_not_run(host):
    standing = integration.status(host)
    assert (standing.installed, standing.trusted) == (True, False)
    assert standing.why == "SessionStart was not reviewed yet; review it in Codex with: /hooks"


def test_what_was_reviewed_is_run(host):
    assert len(KEYS) == len(EVENTS)
    config(host, "# mine", *reviewed(host, *KEYS))
    assert integration.status(host).trusted is True


def test_each_event_is_reviewed_by_itself(host):
    config(host, *reviewed(host, *KEYS[:3]))
    assert integration.status(host).why.startswith("SubagentStop was not reviewed yet")


def test_the_review_is_of_the_entry_at_its_place(host):
    config(host, *reviewed(host, *KEYS, place=1))
    assert integration.status(host).trusted is False


def test_what_is_switched_off(host):
    config(host, "[features]", "hooks = false", *reviewed(host, *KEYS))
    assert integration.status(host).why == "[features] hooks is false in ~/.codex/config.toml"
    config(host, *reviewed(host, *KEYS, line='trusted_hash = "sha256:00"\nenabled = false'))
    assert integration.status(host).why == "SessionStart is switched off in Codex"


@pytest.mark.parametrize("text", ["[", "hooks = 7", "features = []", 'hooks = {state = "x"}'])
def test_a_config_that_says_something_else_is_no_review(host, text):
    config(host, text)
    assert integration.status(host).trusted is False
