"""What every test gets."""

from __future__ import annotations

import pytest

from sentinel import paths


@pytest.fixture(autouse=True)
def nowhere_real(tmp_path_factory, monkeypatch):
    """No test meets the state, the agent or the tmux server of whoever runs it."""
    base = tmp_path_factory.getbasetemp() / "not-yours"
    for name in ("CONFIG", "STATE", "RUNTIME"):
        monkeypatch.setenv(f"SENTINEL_{name}_DIR", str(base / name.lower()))
    for name in ("TMUX", "TMUX_PANE", "TMUX_TMPDIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def where(tmp_path):
    """Directories of the test's own, made and checked."""
    found = paths.Paths(tmp_path / "config", tmp_path / "state", tmp_path / "run")
    assert paths.prepare(found) == ""
    return found
