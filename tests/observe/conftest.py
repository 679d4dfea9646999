"""What the tests of these rooms share."""

from __future__ import annotations

import subprocess

import pytest


@pytest.fixture
def restless(tmp_path):
    """A process with SENTINEL_KEEP that only replaces its program: one look in ten meets it within execve(2)."""
    script = tmp_path / "restless"
    script.write_text('#!/bin/sh\nexec "$0"\n')
    script.chmod(0o755)
    environ = {"SENTINEL_KEEP": "1"}
    process = subprocess.Popen([script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environ)
    yield process
    process.kill()
    process.wait()
