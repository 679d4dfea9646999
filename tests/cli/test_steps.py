"""What `install` leaves for the person to do; that it writes and takes out is tried in real/test_service."""

from __future__ import annotations

import subprocess
import sys

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
    assert hint("man", path=f"{tmp_path}/.local/bin") == ""
    assert hint("man", MANPATH=f"/usr/share/man:{tmp_path}/.local/share/man") == ""


def test_bash_is_told_of_where_nothing_loads_completions(hint, tmp_path):
    script = tmp_path / ".local" / "share" / "bash-completion" / "completions" / "sentinel"
    told = f"for bash, install bash-completion, or put this into your .bashrc: source {script}"
    assert hint("bash", XDG_DATA_DIRS=f"{tmp_path}/system") == told
    loader = tmp_path / "system" / "bash-completion" / "bash_completion"
    loader.parent.mkdir(parents=True)
    loader.touch()
    assert hint("bash", XDG_DATA_DIRS=f"{tmp_path}/other:{tmp_path}/system") == ""


def test_bash_of_another_prefix_has_its_loader_beside_it(hint, tmp_path):
    loader = tmp_path / "share" / "bash-completion" / "bash_completion"
    loader.parent.mkdir(parents=True)
    loader.touch()
    assert hint("bash", XDG_DATA_DIRS="/nowhere") == ""


def test_each_that_lacks_something_is_told(hint):
    zsh, man = hint("zsh", "man").split("; ")
    assert "compinit" in zsh
    assert "MANPATH" in man


def test_a_full_disk_is_told_with_the_file_that_cannot_be_written(tmp_path):
    script = f"""
import resource
from pathlib import Path
from sentinel.cli.steps import Shell
from sentinel.errors import SentinelError
from sentinel.integrations.plan import Host
from sentinel.service.footprint import Footprint

home = Path({str(tmp_path)!r})
change = Shell(Footprint(home / "installed")).install(Host(home, home / "state", {{}}), ())
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    change.make()
except SentinelError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stdout
    assert told == f"{tmp_path}/installed: cannot be written: File too large\n"
