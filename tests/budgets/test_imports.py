"""What a command imports is what a person waits for, and what the agent weighs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"psutil", "watchdog", "pyee", "plyer", "libtmux", "asyncio", "rich"}
COMMANDS = {f"sentinel.cli.{name}" for name in ("agent", "run", "status", "sessions", "events", "keep", "explain")}


def loaded(*argv: str) -> set[str]:
    """The modules, and the packages they are in, that a command has imported at its end."""
    script = (
        "import atexit, sys; argv = sys.argv[1:];"
        "atexit.register(lambda: print('\\nLOADED', *sys.modules, file=sys.stderr));"
        "sys.argv = ['sentinel', *argv];"
        "from sentinel.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *argv], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    modules = done.stderr.rpartition("LOADED")[2].split()
    assert "sentinel.cli" in modules, done.stderr
    return {*modules, *(name.partition(".")[0] for name in modules)}


@pytest.mark.parametrize("argv", [("--help",), ("--version",), ("nonsense",)], ids=" ".join)
def test_the_front_door_imports_no_command_and_nothing_heavy(argv):
    modules = loaded(*argv)
    assert not modules & (HEAVY | COMMANDS)
    assert not modules & {"msgspec", "platformdirs", "json", "sentinel.config", "sentinel.paths"}


@pytest.mark.parametrize("name", ["status", "sessions", "events", "keep"])
def test_a_command_that_only_reads_imports_itself_and_nothing_heavy(name):
    modules = loaded(name)
    assert not modules & HEAVY
    assert modules & COMMANDS == {f"sentinel.cli.{name}"}
    assert not modules & {"sentinel.app", "sentinel.assembly", "sentinel.reaper", "sentinel.sources"}


def test_a_hook_imports_nothing_that_it_has_no_time_for(tmp_path):
    script = (
        "import sys; sys.argv = ['sentinel', 'hook', 'claude', 'Stop'];"
        "from sentinel.__main__ import main; assert main() == 0; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"SENTINEL_RUNTIME_DIR": str(tmp_path)},
        input=b"{}",
        capture_output=True,
        timeout=60,
        check=True,
    )
    modules = set(done.stdout.decode().split())
    assert {name for name in modules if name.startswith("sentinel")} == {
        "sentinel",
        "sentinel.__main__",
        "sentinel.hook",
        "sentinel.runtime_dir",
        "sentinel.errors",
    }
    assert not modules & (HEAVY | {"click", "msgspec", "pathlib", "typing", "dataclasses", "platformdirs"})
    assert len(os.listdir(tmp_path / "spool")) == 1


def test_a_configuration_in_order_needs_nobody_who_explains_errors(tmp_path):
    (tmp_path / "sentinel.toml").write_text('mode = "observe"\n')
    script = (
        "import sys; from pathlib import Path; from sentinel.config import load;"
        "load(Path(sys.argv[1])); print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "sentinel.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    modules = set(done.stdout.split())
    assert "tomllib" in modules
    assert not modules & {"difflib", "sentinel.config_errors"}
