from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import sentinel

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def names(requirements):
    return {re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower() for requirement in requirements}


def test_what_is_installed_is_this_version():
    assert metadata.version("session-sentinel") == sentinel.__version__


def test_the_command_leads_to_the_command_line():
    (script,) = metadata.entry_points(group="console_scripts", name="sentinel")
    assert script.dist.name == "session-sentinel"
    assert script.load().__module__ == "sentinel.__main__"


def test_every_dependency_is_imported_and_every_import_is_a_dependency():
    imported = set()
    for path in (ROOT / "sentinel").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    wanted = names(PROJECT["dependencies"]) | names(PROJECT["optional-dependencies"]["notify"])
    assert imported - set(sys.stdlib_module_names) - {"sentinel"} == wanted


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=True,
    )
    (path,) = place.glob("*.whl")
    with zipfile.ZipFile(path) as content:
        yield content


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel):
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    source = {path.relative_to(ROOT).as_posix() for path in (ROOT / "sentinel").rglob("*.py")}
    assert inside == source | {"sentinel/py.typed", "sentinel/sentinel.toml", "sentinel/service/sentinel.service"}


def test_the_wheel_carries_its_licence_and_its_name(wheel):
    info = f"session_sentinel-{sentinel.__version__}.dist-info"
    assert b"MIT License" in wheel.read(f"{info}/licenses/LICENSE")
    said = wheel.read(f"{info}/METADATA").decode()
    assert "\nName: session-sentinel\n" in said
    assert "\nRequires-Python: >=3.11\n" in said
    assert names(PROJECT["dependencies"]) <= names(re.findall(r"^Requires-Dist: (.+)$", said, re.MULTILINE))


def test_where_pip_fails_a_sentence_of_ours_says_what_it_was_for(tmp_path):
    """A stand-in for an environment whose pip has no network: a real one would have to be made first."""
    script = tmp_path / "scripts" / "environment"
    python = tmp_path / ".venv" / "bin" / "python"
    for path in (script, python):
        path.parent.mkdir(parents=True)
    script.write_bytes((ROOT / "scripts" / "environment").read_bytes())
    python.write_text('#!/bin/sh\ncase $* in *--version) exit 0;; esac\necho "no network" >&2\nexit 2\n')
    python.chmod(0o755)
    done = subprocess.run(["sh", script, "."], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("no network\nsentinel: pip could not install what Sentinel needs")
    assert done.stderr.count("\n") == 2
