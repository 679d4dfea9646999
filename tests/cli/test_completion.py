"""Completion as a person has it: asked of the real shells, where they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel.cli import COMMANDS, completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_script(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"missing: {shell}")
    script = tmp_path / "script"
    script.write_text(completion.script(shell))
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


ASKED = {
    "bash": 'source "$0"; COMP_WORDS=(sentinel unins); COMP_CWORD=1; _sentinel_completion sentinel; echo "$COMPREPLY"',
    "fish": 'source $argv[1]; complete -C "sentinel unins" | cut -f1',
}


@pytest.mark.parametrize("shell", ASKED)
def test_the_shell_completes_a_verb(shell, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"missing: {shell}")
    script = tmp_path / "script"
    script.write_text(completion.script(shell))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {"PATH": path, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    done = subprocess.run([shell, "-c", ASKED[shell], script], env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("uninstall\n", "")


def test_fish_shows_all_of_a_verbs_help(tmp_path):
    if not shutil.which("fish"):
        pytest.skip("missing: fish")
    script = tmp_path / "script"
    script.write_text(completion.script("fish"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    asked = ["fish", "-c", 'source $argv[1]; complete -C "sentinel service restar"; complete -C "sentinel ser"', script]
    environ = {"PATH": path, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(asked, env=environ, capture_output=True, text=True, check=False)
    assert done.stdout == (
        "restart\tEnd the agent and start it anew.\nservice\tStart, stop and look at the installed agent.\n"
    )


def test_another_shell_is_refused():
    with pytest.raises(ValueError, match="tcsh"):
        completion.script("tcsh")


def ask(words, number):
    environ = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(number),
        "_SENTINEL_COMPLETE": "bash_complete",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-c",
            "import sys; sys.argv[0] = 'sentinel'; from sentinel.cli import main; sys.exit(main())",
        ],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return [line.partition(",")[2] for line in done.stdout.splitlines()], imported


def test_verbs_are_offered_without_importing_what_they_name():
    offered, imported = ask("sentinel ", 1)
    assert offered == list(COMMANDS)
    assert "sentinel.cli" in imported
    assert not imported & {"asyncio", "sentinel.cli.surgery", "sentinel.instance"}
    assert ask("sentinel sta", 1)[0] == [name for name in COMMANDS if name.startswith("sta")]


def test_options_of_a_verb_are_offered():
    offered, imported = ask("sentinel install --", 2)
    assert {"--only", "--dry-run", "--yes"} <= set(offered)
    assert "sentinel.app" not in imported


def test_the_steps_of_install_are_offered_each_once():
    assert ask("sentinel install --only ", 3)[0] == ["service", "shell", "claude", "codex", "tmux"]
    assert ask("sentinel uninstall --only c", 3)[0] == ["claude", "codex"]
    assert ask("sentinel install --only claude,tmux,", 3)[0] == [
        f"claude,tmux,{name}" for name in ("service", "shell", "codex")
    ]
