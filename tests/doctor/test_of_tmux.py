"""Servers without a socket: what is offered is what would be done. The rest is tried in real (test_doctor)."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sentinel.core.facts import ProcessId
from sentinel.doctor.of_tmux import unreachable
from sentinel.observe import processes
from sentinel.observe import tmux as observed
from tests.lab.tmuxes import Server

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def server(tmp_path):
    """A real tmux server, without its socket. It ends with the namespace."""
    if not (found := shutil.which("tmux")):
        pytest.skip("missing: tmux")
    (tmp_path / "t").mkdir(mode=0o700)
    server = Server(found, tmp_path / "t" / "s")
    os.unlink(server.path)
    return server


def found(server, **changes):
    # A whole look at the machine finds others' servers, too: here only this one is looked at.
    seen = replace(processes.look(server.pid), **changes)
    return list(unreachable(SimpleNamespace(tmux_servers=lambda: [(seen, observed.server_of(server.pid))])))


def test_one_that_can_make_its_socket_again_is_offered_to_be_asked(server):
    (trouble,) = found(server)
    assert trouble.remedy is not None
    assert trouble.remedy.reopens == processes.look(server.pid).id
    assert server.path in trouble.evidence[0]


def test_one_whose_directory_is_gone_is_not_and_a_person_is_told_how(server):
    directory = os.path.dirname(server.path)
    os.rmdir(directory)
    (trouble,) = found(server)
    assert trouble.remedy is None
    assert f"{directory} is not there, or not to be written" in trouble.evidence
    assert trouble.hint == f"make {directory} again, with mode 700, then: kill -USR1 {server.pid}"


def test_one_that_has_become_another_process_meanwhile_is_no_trouble(server):
    assert found(server, id=ProcessId(server.pid, 1)) == []
