"""What a hint goes by: the file of the service, in the place of each manager."""

from __future__ import annotations

import sys

import pytest

from sentinel.service.installed import how_to_start, how_to_start_anew, is_installed

PLACES = {"linux": ".config/systemd/user/sentinel.service", "darwin": "Library/LaunchAgents/dev.sentinel.agent.plist"}


@pytest.mark.parametrize("platform", PLACES)
def test_it_is_installed_where_its_file_is(platform, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert not is_installed()
    assert (how_to_start(), how_to_start_anew()) == ("sentinel agent", "end the agent, then: sentinel agent")
    file = tmp_path / PLACES[platform]
    file.parent.mkdir(parents=True)
    file.touch()
    assert is_installed()
    assert (how_to_start(), how_to_start_anew()) == ("sentinel service start", "sentinel service restart")
