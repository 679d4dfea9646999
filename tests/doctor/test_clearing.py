"""The hand of a person who said yes. That the right ones are ended is tried in real."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sentinel.core.actions import Result
from sentinel.core.facts import ProcessId
from sentinel.core.guards import Ourselves
from sentinel.core.policy import Policy
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Condemned
from sentinel.doctor.clearing import Clearing
from sentinel.observe import processes
from sentinel.observe.handles import Handles
from sentinel.reaper.signals import Signaller

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]

STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"


def test_before_sigkill_one_look_serves_all_that_are_left():
    started = [subprocess.Popen([sys.executable, "-I", "-S", "-c", STUBBORN], stdout=subprocess.PIPE) for _ in range(3)]
    for process in started:
        process.stdout.readline()
    condemned = {who.id: Condemned(who.id, who, ()) for who in (processes.look(process.pid) for process in started)}
    looks = []
    # Who is judged, and how, is the leftovers' own: here all are condemned at each look.
    leftovers = SimpleNamespace(
        judge=lambda: looks.append(1) or condemned, session=Session(Kind.RUN, "doctor", ProcessId(2, 1))
    )
    handles = Handles()
    journal = SimpleNamespace(intend=lambda *_: 1)
    signaller = Signaller(handles, journal, Ourselves(0, 0, os.getuid(), frozenset()))
    core = SimpleNamespace(policy=Policy, signaller=signaller, handles=handles)
    shown = [SimpleNamespace(candidate=one, target=one) for one in condemned.values()]
    bus = SimpleNamespace(publish=lambda *_: None)
    try:
        outcomes = asyncio.run(Clearing(leftovers, core, bus).end(shown, 0.05, lambda _: None))
        assert [outcome.result for outcome in outcomes] == [Result.KILLED] * 3
        assert len(looks) == 2
    finally:
        for process in started:
            process.kill()
            process.communicate()
        handles.close()
