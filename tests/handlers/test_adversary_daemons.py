"""What a daemon needs to go on, when the session that bore it dies."""

from __future__ import annotations

import sys
import time

import pytest

from sentinel.core.events import ProcessExited
from sentinel.core.verdicts import Spared
from tests.handlers.room import ended, killed

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]

DAEMON = (
    "os.setsid(); null = os.open(os.devnull, os.O_RDWR); [os.dup2(null, fd) for fd in range(3)];"
    "open({place!r}, 'w').write(str(bear())); time.sleep(60)"
)


@pytest.fixture
def build(room, tmp_path):
    """An agent whose tool call has put a build into the background; both, and what the build runs."""
    room.keep_books()
    agent = room.start()
    session = room.open(agent.pid)
    place = tmp_path / "worker"
    between, daemon = agent.bear_through(DAEMON.format(place=str(place)))
    while not (place.exists() and (said := place.read_text())):
        time.sleep(0.01)
    room.forked(agent.pid, between)
    room.forked(between, daemon)
    worker = room.forked(daemon, int(said))
    assert agent.do(f"os.waitpid({between}, 0)[0]") == between
    return agent, session, between, daemon, worker


def spared(room, session):
    return {it.id.pid for it in room.examiner.left_by(room.ledger.record(session.key)) if isinstance(it, Spared)}


def die(room, agent):
    agent.kill()
    agent.wait()
    room.bus.publish(ProcessExited(agent.pid, killed()))


def test_a_daemon_is_spared(room, build):
    agent, session, between, daemon, _ = build
    room.bus.publish(ProcessExited(between, ended()))
    die(room, agent)
    assert daemon in spared(room, session)


def test_what_a_daemon_bore_is_spared_with_it(room, build):
    agent, session, between, daemon, worker = build
    room.bus.publish(ProcessExited(between, ended()))
    die(room, agent)
    assert {daemon, worker} <= spared(room, session)


def test_a_daemon_is_spared_when_the_notices_of_both_ends_were_lost(room, build):
    agent, session, _, daemon, _ = build
    agent.kill()
    agent.wait()
    room.bookkeeper.look_after()
    assert daemon in spared(room, session)


def test_a_daemon_of_a_tool_call_that_failed_a_moment_ago_is_spared(room, build):
    agent, session, between, daemon, _ = build
    room.bus.publish(ProcessExited(between, ended(1)))
    die(room, agent)
    assert daemon in spared(room, session)
