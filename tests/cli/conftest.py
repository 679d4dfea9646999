from __future__ import annotations

import pytest


@pytest.fixture
def here(where, monkeypatch):
    """A verb that is run in this process finds the directories of its test."""
    for name in ("config", "state", "runtime"):
        monkeypatch.setenv(f"SENTINEL_{name.upper()}_DIR", str(getattr(where, name)))
