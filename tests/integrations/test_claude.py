from __future__ import annotations

import json

import pytest

from sentinel.integrations import claude
from sentinel.integrations.plan import Host


@pytest.fixture
def host(tmp_path, monkeypatch):
    (tmp_path / ".claude").mkdir()
    monkeypatch.setattr(claude, "MANAGED", (str(tmp_path / "managed.json"),))  # the real one is the machine's
    host = Host(tmp_path, tmp_path / "state", {})
    claude.integration.install(host, ("/bin/sentinel",)).make()
    return host


def test_hooks_of_the_users_own_settings_are_run(host):
    assert (claude.integration.status(host).trusted, claude.integration.status(host).why) == (True, "")


@pytest.mark.parametrize("switch", ["disableAllHooks", "allowManagedHooksOnly"])
def test_unless_somebody_has_switched_them_off(host, switch):
    (host.home / "managed.json").write_text(json.dumps({switch: True}))
    standing = claude.integration.status(host)
    assert (standing.installed, standing.trusted) == (True, False)
    assert standing.why == f"{switch} is set in ~/managed.json"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"disableAllHooks": false}', '{"disableAllHooks": "no"}'])
def test_what_does_not_say_so_switches_nothing_off(host, text):
    (host.home / "managed.json").write_text(text)
    assert claude.integration.status(host).trusted is True
