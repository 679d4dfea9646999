"""What is told when a start has failed, of a real tmux server."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from sentinel.core.facts import Gone, ProcessFacts, ProcessId, SocketFacts, Unknown
from sentinel.environments.diagnostics import diagnostics
from sentinel.environments.launch import logs_of
from sentinel.environments.project import Project
from sentinel.environments.projectfile import Wishes
from sentinel.environments.scene import Holder, Server, Survey
from tests.lab import tmuxes

LABEL = "overmind-shop-x"
STALE = SocketFacts("/shop/.overmind.sock", 1, 2, is_socket=True, uid=os.getuid(), modified=0.0, bound=False)


@pytest.fixture
def server(tmp_path):
    if shutil.which("tmux") is None:
        pytest.skip("missing: tmux")
    server = tmuxes.Server("tmux", tmp_path / "s")
    yield server
    server.end()


def seen(project, server, *, socket=STALE, ports=None):
    facts = ProcessFacts(ProcessId(server.pid, 1), 1, server.pid, server.pid, 0, "S", "tmux: server", os.getuid())
    servers = (Server(facts, LABEL, server.mark(), managed=True), Server(facts, "old", None, managed=False))
    held = {3001: (Holder(os.getuid(), 20, "ruby", "/shop"),), 5175: ()} if ports is None else ports
    return Survey(project, None, (), servers, {}, held, socket, (), ())


def test_socket_sessions_windows_ports_and_the_last_50_lines_of_each_log(where, tmp_path, server):
    processes = dict.fromkeys(("web", "worker", "quiet"), "true")
    project = Project("shop", str(tmp_path), processes, ports=(3001, 5175), socket="/shop/.overmind.sock")
    logs = logs_of(where, project)
    os.makedirs(logs)
    for name in ("web", "worker"):
        with open(os.path.join(logs, f"{name}.log"), "w", encoding="utf-8") as file:
            file.writelines(f"{name} line {number}\n" for number in range(100))
    open(os.path.join(logs, "quiet.log"), "w", encoding="utf-8").close()
    told = list(diagnostics(where, seen(project, server)))
    assert told[told.index(f"last lines of {logs}/quiet.log:") + 1] == "  (nothing)"
    assert "socket /shop/.overmind.sock: stale" in told
    assert "stands over it: nobody" in told
    assert f"tmux server {LABEL} (pid {server.pid})" in told
    assert "  session first ($0), 0 attached" in told
    assert any(line.startswith("  window @0, pane %0: pid ") for line in told)
    assert f"tmux server old (pid {server.pid}), whose Overmind has ended" in told
    assert any(line.startswith("port 3001: pid 20 (ruby") for line in told)
    assert "port 5175: free" in told
    for name in ("web", "worker"):
        lines = [line for line in told if line.startswith(f"  {name} line ")]
        assert lines == [f"  {name} line {number}" for number in range(50, 100)]


@pytest.mark.parametrize(
    ("processes", "wishes", "shown"),
    [
        (["web"], Wishes(), ["manager", "web"]),
        ([], Wishes(start="bin/dev"), ["manager"]),
        ([], Wishes(start="bin/dev", logs="log"), ["dropped", "manager", "web"]),
    ],
)
def test_logs_of_what_an_older_procfile_named_are_left_out(where, server, processes, wishes, shown):
    project = Project("shop", str(where.state), dict.fromkeys(processes, "true"), wishes=wishes)
    logs = logs_of(where, project)
    logs.mkdir(parents=True)
    for name in ("manager", "web", "dropped"):
        (logs / f"{name}.log").touch()
    told = [line for line in diagnostics(where, seen(project, server)) if line.startswith("last lines of ")]
    assert told == [f"last lines of {logs}/{name}.log:" for name in shown]


def test_what_does_not_answer_is_said_and_waited_for_no_longer(where, tmp_path, server):
    project = Project("shop", str(tmp_path))
    server.send(signal.SIGSTOP)
    told = list(diagnostics(where, seen(project, server, socket=Gone(), ports=Unknown("who listens", "no answer"))))
    assert any(line.endswith("the server did not answer within 1 s") for line in told), told
    assert any("no answer" in line for line in told), told
    assert told[-1] == "---"
