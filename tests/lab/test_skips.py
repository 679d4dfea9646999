from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.skips import what_is_wrong

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("in_ci", "reason", "wrong"),
    [
        (False, "missing: tmux", False),
        (True, "missing: tmux", True),
        (True, "Skipped: missing: tmux (3.3 or later)", True),
        (True, "missing: root", False),
        (True, "Skipped: missing: root (to give a file away)", False),
        (True, "missing: rootkit", True),
        (True, "missing: Linux 6.15", False),
        (False, "no idea", True),
        (False, "", True),
    ],
)
def test_what_can_be_installed_must_be_there_in_ci(in_ci, reason, wrong):
    assert bool(what_is_wrong(reason, in_ci=in_ci)) is wrong


@pytest.mark.parametrize(
    ("skip", "status"),
    [
        ("@pytest.mark.skip(reason='missing: tmux')\ndef test_it(): pass", 1),
        ("def test_it(): pytest.skip('missing: tmux')", 1),
        ("pytest.skip('missing: tmux', allow_module_level=True)", 1),
        ("def test_it(): pytest.skip('missing: root')", 0),
        ("@pytest.mark.xfail\ndef test_it(): assert False", 0),
    ],
)
def test_a_run_fails_for_a_skip_however_it_came(tmp_path, skip, status):
    (tmp_path / "test_it.py").write_text(f"import pytest\n{skip}\ndef test_other(): pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.lab.skips", "-p", "no:cacheprovider", "-c", os.devnull, "."],
        cwd=tmp_path,
        env={**os.environ, "CI": "true", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout
    assert ("skips that must not be" in done.stdout) == bool(status)
