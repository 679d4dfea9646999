"""The real agent's stage, as tests/real has it, under one of its sources.

The scenarios are about what is promised, and that is tried under both sources elsewhere.
"""

from __future__ import annotations

import os

import pytest

from tests.real.conftest import stage

__all__ = ["source", "stage"]


@pytest.fixture
def source():
    """The proc connector, which is what nearly everybody has."""
    if os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
        pytest.skip("missing: the initial pid namespace")
    return "connector"
