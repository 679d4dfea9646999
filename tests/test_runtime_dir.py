"""One answer for the agent, the command line and the hook."""

from __future__ import annotations

import os

from sentinel import paths, runtime_dir


def test_whoever_asks_finds_the_same_place(tmp_path):
    tmp_path.chmod(0o700)
    for environ in ({"SENTINEL_RUNTIME_DIR": "/r"}, {"XDG_RUNTIME_DIR": str(tmp_path)}, {}):
        where = runtime_dir.find(environ)
        assert str(paths.find({"HOME": "/h", **environ}).runtime) == where
    assert where in {f"/run/user/{os.geteuid()}/sentinel", f"{os.sep}tmp/sentinel-{os.geteuid()}"}


def test_it_needs_nothing_that_a_hook_has_no_time_for():
    """``os`` and what Sentinel's errors are: see budgets/test_imports for the whole."""
    assert {name for name in vars(runtime_dir) if name in {"pathlib", "Path", "platformdirs"}} == set()
