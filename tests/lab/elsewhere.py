"""Who lives in another network namespace: the kernel's table of sockets does not show it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest


@contextlib.contextmanager
def listening_elsewhere(path):
    """Somebody in another network namespace listens at ``path`` until this is left."""
    directory, name = os.path.split(path)
    listen = f"import socket; s = socket.socket(1); s.bind({name!r}); s.listen(); print(1, flush=True); input()"
    command, pipe = ["unshare", "-n", sys.executable, "-c", listen], subprocess.PIPE
    with subprocess.Popen(command, cwd=directory, stdin=pipe, stdout=pipe, text=True) as owner:
        if owner.stdout.readline() != "1\n":
            pytest.skip("missing: root (for a network namespace)")
        yield
        owner.stdin.write("\n")
