"""What the tests of these rooms share."""

from __future__ import annotations

import subprocess
import time

import pytest

from sentinel.core.facts import Unknown

ENVIRONMENTS = {"few": {}, "many": {f"V{number}": "" for number in range(1500)}, "long": {"A": "a" * 100_000}}


HANG = 30.0
"""Seconds."""


def answers(look, number):
    """What that many looks told that brought an answer: one who is not let run within execve(2) gives none for long."""
    deadline = time.monotonic() + HANG
    told = []
    while len(told) < number:
        assert time.monotonic() < deadline, f"{len(told)} answers in {HANG:.0f} s"
        if not isinstance(answer := look(), Unknown):
            told.append(answer)
    return told


@pytest.fixture(params=ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def restless(tmp_path, request):
    """A process with SENTINEL_KEEP that only replaces its program: one look in ten meets it within execve(2).

    So does one in fifty of it with many variables where the kernel counts those, and of it with
    a long one ahead between two pieces of 64 KiB.
    """
    script = tmp_path / "restless"
    script.write_text('#!/bin/sh\nexec "$0"\n')
    script.chmod(0o755)
    environ = {**request.param, "SENTINEL_KEEP": "1"}
    process = subprocess.Popen([script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environ)
    yield process
    process.kill()
    process.wait()
