"""Real control groups, made by hand where no systemd makes them."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from pathlib import Path

import pytest

from sentinel.observe import cgroups


class Groups:
    """Groups of version 2 below one of our own, which is removed with all that is in it."""

    def __init__(self):
        mount = cgroups.directory_of("/")
        if mount is None:
            pytest.skip("missing: cgroup2")
        self.top = Path(mount) / f"sentinel-test-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        try:
            self.top.mkdir()
        except OSError:
            pytest.skip("missing: root (to make control groups)")

    def make(self, name):
        """A group of this name; what cgroups(7) calls its path."""
        (self.top / name).mkdir(parents=True)
        return f"/{self.top.name}/{name}"

    def make_panes(self):
        """A group as tmux has systemd make it for a pane."""
        return self.make(f"tmux-spawn-{uuid.uuid4()}.scope")

    def move(self, pid, path):
        """Put a process into a group."""
        directory = Path(cgroups.directory_of(path))
        (directory / "cgroup.procs").write_text(str(pid))

    def close(self):
        """Whoever is still inside has been ended by the test's own stage."""
        deadline = time.monotonic() + 10
        while os.path.exists(self.top) and time.monotonic() < deadline:
            for folder, _, _ in os.walk(self.top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            time.sleep(0.02)
