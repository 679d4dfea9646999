"""Where numbers of processes mean something."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from sentinel.observe import place

SCRIPT = "from sentinel.observe import place; print(place.pid_namespace())"


def test_the_host_is_named():
    assert place.host() == socket.gethostname()


@pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")
def test_a_child_is_in_the_same_pid_namespace_and_one_in_a_new_one_is_not():
    ours = place.pid_namespace()
    assert os.readlink("/proc/self/ns/pid") == f"pid:[{ours}]"
    flags = "-pf" if os.getuid() == 0 else "-Urpf"
    for before, same in ([], True), (["unshare", flags, "--mount-proc"], False):
        done = subprocess.run(
            [*before, sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True
        )
        assert (int(done.stdout) == ours) is same


def test_where_there_are_none_it_is_0(monkeypatch):
    def absent(_):
        raise FileNotFoundError

    monkeypatch.setattr(os, "stat", absent)
    assert place.pid_namespace() == 0
