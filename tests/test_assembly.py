"""The wiring: what serves where, and that everything that is told is heard."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace

import pytest

from sentinel import assembly
from sentinel.bus import Bus
from sentinel.core import events
from sentinel.core.events import LookDue, ProcessExited
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Policy
from sentinel.handlers.keeping import Keeping
from sentinel.history import History
from sentinel.journal import Journal
from sentinel.observe import processes
from sentinel.switches import SwitchBoard
from tests.handlers.room import Puppet, dead, end_everything, killed, make_program, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    end_everything()


@pytest.fixture
def journal(where):
    journal = Journal(where.journal, processes.boot_id())
    yield journal
    journal.close()


class Births:
    """Stands in for the connector, which does not speak in a pid namespace."""

    name = "a stand-in"
    sampled = False
    drained = 0

    def drain(self):
        self.drained += 1


def test_mercy_what_is_to_be_kept_since_a_moment_ago_is_though_nobody_told_the_agent(where, journal, tmp_path):
    """It did not answer `sentinel keep`, which wrote the wish down; SIGTERM had been sent before."""
    wishes = Policy(kinds={kind: replace(wish, grace=0.3) for kind, wish in Policy().kinds.items()})

    async def scenario():
        bus, ledger = Bus(journal.record), Ledger()
        loop = asyncio.get_running_loop()
        core = assembly.build(
            where, lambda: wishes, bus=bus, ledger=ledger, journal=journal, later=loop.call_later, births=Births()
        )
        core.exits.start(loop)
        agent = Puppet(make_program(tmp_path, "claude"))
        child = agent.do("bear('signal.signal(15, signal.SIG_IGN); ready(); time.sleep(60)')")
        bus.publish(LookDue("a test"))
        agent.end()
        bus.publish(ProcessExited(agent.pid, killed()))
        Keeping(Bus(lambda *_: 0), Ledger(), SwitchBoard(where.switches, processes.boot_id()), os.getuid()).keep(
            str(child)
        )
        await core.clean_up.settle()
        assert not dead(child)
        core.exits.close()
        core.handles.close()

    asyncio.run(scenario())
    (done,) = [e.record["data"] for e in History(where.journal).read() if e.record["type"].endswith("cleanup.done")]
    assert [one["reason"].partition("now: ")[2] for one in done["outcomes"]] == ["it is to be kept (`sentinel keep`)"]


def test_a_session_goes_from_its_finding_to_its_end(where, journal, tmp_path):
    """The rooms as they are tied together: found, told dead, judged, ended, written down."""

    async def scenario():
        bus, ledger, births = Bus(journal.record), Ledger(), Births()
        loop = asyncio.get_running_loop()
        core = assembly.build(
            where, Policy, bus=bus, ledger=ledger, journal=journal, later=loop.call_later, births=births
        )
        core.exits.start(loop)
        agent = Puppet(make_program(tmp_path, "claude"))
        child = agent.do("bear(\"os.execv('/bin/sleep', ['sleep', '60'])\")")
        until(lambda: processes.comm(child) == "sleep")
        bus.publish(LookDue("a test"))
        assert [record.session.name for record in ledger.sessions()] == ["claude"]
        agent.end()
        bus.publish(ProcessExited(agent.pid, killed()))
        await core.clean_up.settle()
        bus.publish(ProcessExited(child, killed(15)))
        assert dead(child)
        assert births.drained
        assert list(ledger.sessions()) == []
        core.exits.close()
        core.handles.close()

    asyncio.run(scenario())
    types = [entry.record["type"].removeprefix("dev.sentinel.") for entry in History(where.journal).read()]
    assert types == [
        "session.opened",
        "session.died",
        "action.intended",
        "session.judged",
        "cleanup.done",
        "session.closed",
    ]


def test_a_single_command_needs_no_loop_and_no_births(where, journal):
    ledger = Ledger()
    core = assembly.build(where, Policy, bus=Bus(lambda *_: 0), ledger=ledger, journal=journal, later=lambda *_: None)
    core.sweep.look()
    assert core.explanations.explain(str(os.getpid()))["would"].startswith("leave it alone")
    core.handles.close()


def test_every_event_with_a_type_is_recorded_and_known_to_be():
    typed = {kind for kind in vars(events).values() if isinstance(kind, type) and getattr(kind, "type", "")}
    assert typed == set(events.RECORDED)
    assert len({kind.type for kind in typed}) == len(typed)
