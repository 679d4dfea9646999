from __future__ import annotations

import os
import sys

import pytest

from sentinel.errors import SentinelError
from sentinel.service import command

ENVIRON = {"HOME": "/home/me", "PATH": os.defpath}


@pytest.mark.parametrize(
    "path",
    [
        "/tmp/x/bin/python",  # noqa: S108 - that is the question
        "/var/tmp/x/bin/python",  # noqa: S108 - that is the question
        "/home/me/.cache/uv/archive-v0/x/bin/python",
        "/home/me/.local/share/pipx/.cache/x/bin/python",
        "/Users/me/Library/Caches/x/bin/python",
        "/scratch/x/bin/python",
    ],
)
def test_what_may_be_cleared_away_is_no_home_for_a_service(path):
    assert command.is_fleeting(path, {"XDG_CACHE_HOME": "/scratch"})


@pytest.mark.parametrize(
    "path",
    [
        "/home/me/.local/share/pipx/venvs/session-sentinel/bin/python",
        "/home/me/.local/share/uv/tools/session-sentinel/bin/python",
        "/home/me/src/sentinel/.venv/bin/python",
        "/usr/bin/python3",
        "/home/me/tmp/.venv/bin/python",
    ],
)
def test_where_tools_are_installed_is(path):
    assert not command.is_fleeting(path, {})


def test_it_is_the_interpreter_that_runs_us_and_no_file_beside_it(monkeypatch):
    monkeypatch.setattr(command, "is_fleeting", lambda *_: False)  # wherever the tests were unpacked
    assert command.ours(ENVIRON, sys.executable) == [sys.executable, "-P", "-m", "sentinel"]


def test_one_that_needs_what_this_shell_has_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "is_fleeting", lambda *_: False)
    bare = tmp_path / "python"
    bare.symlink_to(os.path.realpath(sys.executable))  # outside of its environment it knows no Sentinel
    with pytest.raises(SentinelError, match=r"could not start this Sentinel: .*No module named"):
        command.ours(ENVIRON, str(bare))


@pytest.mark.parametrize("nowhere", ["", "python3"])
def test_one_that_cannot_tell_where_it_is_is_refused(nowhere):
    with pytest.raises(SentinelError, match="where it is"):
        command.ours(ENVIRON, nowhere)


def test_one_in_a_cache_says_what_to_do(tmp_path):
    cached = tmp_path / ".cache" / "python"
    with pytest.raises(SentinelError, match="pipx install session-sentinel"):
        command.ours(ENVIRON, str(cached))
