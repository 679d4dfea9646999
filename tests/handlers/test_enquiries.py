"""Requests and their answers."""

from __future__ import annotations

import os
import sys
from typing import get_args

import pytest

from sentinel import wire
from sentinel.core.actions import Outcome, Result
from sentinel.core.events import CleanedUp, ConfigurationRead
from sentinel.core.facts import ProcessId
from sentinel.core.hooks import HookCall
from sentinel.core.policy import Mode, Policy
from sentinel.core.sessions import Kind, Session
from sentinel.errors import SentinelError
from sentinel.handlers.agent_hooks import AgentHooks
from sentinel.handlers.enquiries import Condition, Enquiries
from sentinel.handlers.explanations import Explanations
from sentinel.handlers.halting import Halting
from sentinel.handlers.keeping import Keeping
from sentinel.handlers.leftovers import Leftovers
from sentinel.handlers.registered import RegisteredSessions, open_for_agent
from sentinel.handlers.run_sessions import RunSessions
from sentinel.handlers.tmux_sessions import TmuxSessions
from tests.handlers.room import killed, leave_mark

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


SESSION = Session(Kind.RUN, "api", ProcessId(4711, 7))


@pytest.fixture
def condition():
    return Condition("1.2.3", "polling", "a test says so", 17.0)


@pytest.fixture
def enquiries(room, condition):
    discovery = room.discover()
    leftovers = Leftovers(room.ledger, room.journal, room.where.quarantine, os.getuid())
    return Enquiries(
        ledger=room.ledger,
        tmux=TmuxSessions(room.bus, room.ledger),
        runs=RunSessions(
            room.bus,
            room.ledger,
            bookkeeper=room.bookkeeper,
            openings=room.openings,
            runtime=room.where.runtime,
            catch_up=lambda: None,
        ),
        registered=RegisteredSessions(
            room.bus,
            ledger=room.ledger,
            handles=room.handles,
            exits=room.exits,
            bookkeeper=room.bookkeeper,
            discovery=discovery,
            openings=room.openings,
            registry=open_for_agent(room.where, room.bus, mends=True),
            policy=lambda: room.policy,
            catch_up=lambda: None,
            later=lambda *_: None,
        ),
        hooks=AgentHooks(room.bus, room.ledger, discovery, lambda: None),
        explanations=Explanations(room.ledger, room.examiner, leftovers, lambda: room.policy),
        halting=Halting(room.bus, room.switches),
        keeping=Keeping(room.bus, room.ledger, room.switches, os.getuid()),
        policy=lambda: room.policy,
        condition=condition,
        trouble=lambda: "the disk is full",
        unwatched=lambda: "nobody can tell",
    )


def test_how_the_agent_is(room, enquiries, condition):
    room.policy = Policy(mode=Mode.OBSERVE)
    agent, other = room.start(), room.start()
    room.open(agent.pid)
    room.open(other.pid)
    room.forked(agent.pid, agent.do("bear()"))
    room.ledger.exited(agent.pid, killed())
    condition.follow(room.bus)
    ended, held = Outcome("7@1", Result.ENDED), Outcome("8@1", Result.HELD, "a person has paused Sentinel")
    room.bus.publish(CleanedUp(SESSION, (ended, held), 0.1))
    room.bus.publish(CleanedUp(SESSION, (held,), 0.1))
    room.bus.publish(ConfigurationRead("sentinel.toml:3: no such key"))
    assert enquiries(wire.Status(), 1) == {
        "version": "1.2.3",
        "source": "polling",
        "why_not_better": "a test says so",
        "since": 17.0,
        "mode": "observe",
        "held": "",
        "held_until": None,
        "kept": 0,
        "switch_trouble": "",
        "sessions": 1,
        "dead": 1,
        "processes": 2,
        "cleaned": 1,
        "trouble": "the disk is full",
        "unwatched": "nobody can tell",
        "safe": "",
        "refused": "sentinel.toml:3: no such key",
    }


def test_what_is_watched(room, enquiries):
    session = room.open(room.start().pid)
    (told,) = enquiries(wire.Sessions(), 1)
    assert (told["key"], told["alive"], told["session_kind"], told["processes"]) == (session.key, True, "agent", 1)


def test_a_wrapper_speaks_for_itself_alone(room, enquiries):
    wrapper, liar = room.start(), room.start()
    leave_mark(room, wrapper)
    key = enquiries(wire.Register(), wrapper.pid)["session"]
    assert enquiries(wire.Started(liar.pid), wrapper.pid) == {"session": key}
    assert room.ledger.record(key).session.command == 0  # what counts is the mark, not the message
    assert enquiries(wire.Leaving([liar.pid]), wrapper.pid) == {"session": key}
    assert liar.pid not in room.ledger
    for request in (wire.Register(), wire.Started(wrapper.pid), wire.Leaving([wrapper.pid])):
        with pytest.raises(SentinelError):
            enquiries(request, liar.pid)


def test_every_request_has_an_answer_that_can_be_sent(room, enquiries):
    wrapper = room.start()
    leave_mark(room, wrapper)
    arguments = {
        wire.Explain: (str(wrapper.pid),),
        wire.Started: (5,),
        wire.Leaving: ([],),
        wire.Enlisted: ("nobody",),
        wire.Hook: (HookCall("1", "claude", "Stop", 1.0),),
        wire.Keep: (str(wrapper.pid),),
    }
    for kind in get_args(wire.Request):
        data = enquiries(kind(*arguments.get(kind, ())), wrapper.pid)
        assert data is not None
        wire.encode(wire.Reply(ok=True, data=data))
