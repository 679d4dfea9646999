"""Whom the word to quit reaches. That it works, and how long it is waited for, is tried in real."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from sentinel.core.facts import ProcessFacts, ProcessId
from sentinel.core.guards import Ourselves
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Condemned, Grade, Spared
from sentinel.environments.quitting import quit_manager
from sentinel.environments.scene import OVERMIND, Manager
from sentinel.observe import processes, sockets
from sentinel.observe.handles import Handles
from sentinel.reaper.signals import Signaller

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux")]

LISTEN = """
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.bind(sys.argv[1])
line.listen()
print("listens", flush=True)
while True:
    heard = line.accept()[0].recv(100)
    print(heard.decode(), flush=True)
    if heard:
        break
"""


@pytest.fixture
def overmind(tmp_path):
    """Starts what listens where an Overmind does, and ends at the word: it stands for one."""
    started = []

    def start(path):
        words = [sys.executable, "-I", "-S", "-c", LISTEN, str(path)]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "listens\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def asked_to_quit(process, path, patience, forbidden=""):
    """What comes of asking it, as it was seen before: who ends is judged elsewhere, so all is agreed to."""
    facts = processes.look(process.pid)
    assert isinstance(facts, ProcessFacts)
    condemned = Condemned(facts.id, Grade.PROVEN, (), facts)
    core = SimpleNamespace(handles=Handles(), signaller=None)
    ending = SimpleNamespace(judge=lambda: {facts.id: condemned}, forbidden=lambda: forbidden, core=core)
    try:
        return asyncio.run(quit_manager(ending, Manager(OVERMIND, facts, str(path)), (), patience))
    finally:
        core.handles.close()


def test_it_is_asked_through_its_socket(overmind, tmp_path):
    process = overmind(tmp_path / "o.sock")
    assert "ended after" in asked_to_quit(process, tmp_path / "o.sock", 20.0)
    assert process.wait() == 0


def test_mercy_one_that_took_the_place_of_its_socket_meanwhile_is_not_asked(overmind, tmp_path):
    """Its path is what was seen; who listens there may have been started since."""
    path = tmp_path / "o.sock"
    before = overmind(path)
    assert sockets.listening_sockets_of(before.pid)
    os.unlink(path)
    successor = overmind(path)
    assert "another one listens there by now" in asked_to_quit(before, path, 0.2)
    assert successor.stdout.readline() == "\n"
    assert successor.poll() is None


def test_mercy_none_is_asked_once_sentinel_is_paused(overmind, tmp_path):
    process = overmind(tmp_path / "o.sock")
    assert asked_to_quit(process, tmp_path / "o.sock", 20.0, "it is paused") == "is left alone: it is paused"
    assert process.poll() is None


class BusyDisk:
    """Stands in for a journal whose disk takes so long that a judgement is old when its intent is written."""

    def intend(self, action, cause=0):
        time.sleep(0.4)
        return 1


@pytest.mark.namespace
@pytest.mark.parametrize("mercy", [False, True])
def test_mercy_one_that_gets_sigterm_late_is_judged_again(mercy):
    def again(who):
        return Spared(who, "stopped", "a debugger came") if mercy else Condemned(who, None, ())

    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        facts, handles = processes.look(process.pid), Handles()
        ending = SimpleNamespace(
            judge=lambda: {facts.id: Condemned(facts.id, facts, ())},
            forbidden=str,
            look_again=lambda: again,
            tell=lambda *_: None,
            session=Session(Kind.RUN, "stop shop", ProcessId(2, 1)),
            core=SimpleNamespace(
                handles=handles,
                signaller=Signaller(handles, BusyDisk(), Ourselves(0, 0, os.getuid(), frozenset())),
            ),
        )
        try:
            told = asyncio.run(quit_manager(ending, Manager(OVERMIND, facts, ""), (), 0.2 if mercy else 20.0))
            if mercy:
                assert told.endswith("it was about to be sent SIGTERM and is spared now: a debugger came")
                assert process.poll() is None
            else:
                assert "ended after" in told
                assert process.wait() == -signal.SIGTERM
        finally:
            process.kill()
            handles.close()
