"""What `install` leaves for the person to do; that it writes and takes out is tried in real/test_service."""

from __future__ import annotations

import pytest

from sentinel.cli.steps import Shell
from sentinel.integrations.plan import Host
from sentinel.service.footprint import Footprint


@pytest.fixture
def hint(tmp_path):
    """What the person is told, with these programs there and this environment."""
    programs = tmp_path / "programs"
    programs.mkdir()

    def hint(*names, path="", **environ):
        for name in names:
            (programs / name).touch(mode=0o755)
        host = Host(tmp_path, tmp_path / "state", {"PATH": f"{programs}:{path}", **environ})
        change = Shell(Footprint(tmp_path / "installed")).install(host, ())
        return change.hint

    return hint


def test_man_is_told_of_where_it_does_not_look(hint, tmp_path):
    pages = tmp_path / ".local" / "share" / "man"
    told = f'for man, put this into your profile: export MANPATH="$MANPATH:{pages}"'
    assert hint("man") == told
    assert (
        hint("man", MANPATH="/usr/share/man", path=f"{tmp_path}/.local/bin") == told
    )  # which hides what is beside PATH


def test_where_man_looks_or_is_not_nothing_is_said(hint, tmp_path):
    assert hint("bash") == ""
    assert hint("man", path=f"{tmp_path}/.local/bin") == ""
    assert hint("man", MANPATH=f"/usr/share/man:{tmp_path}/.local/share/man") == ""


def test_each_that_lacks_something_is_told(hint):
    zsh, man = hint("zsh", "man").split("; ")
    assert "compinit" in zsh
    assert "MANPATH" in man
