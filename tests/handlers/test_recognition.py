"""What a living process is, by what it runs."""

from __future__ import annotations

import sys

import pytest

from sentinel.agents.recognise import Recognised
from sentinel.core.facts import ProcessId, Unknown
from sentinel.core.sessions import Kind, Session
from sentinel.handlers.recognition import recognise_process, same_program
from sentinel.observe import processes

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.mark.parametrize("just_born", [True, False])
def test_a_program_is_recognised_by_its_file(room, program, just_born):
    agent = room.start(program("codex"))
    agent.do("1")
    assert recognise_process(agent.pid, processes.comm(agent.pid), just_born=just_born) == Recognised(
        Kind.AGENT, "codex"
    )


def test_words_on_a_command_line_say_nothing(room):
    notes = room.start("/bin/sh", "-c", "read line", "claude")
    assert recognise_process(notes.pid, processes.comm(notes.pid)) is None
    assert recognise_process(notes.pid, processes.comm(notes.pid), just_born=True) is None


def test_one_that_calls_itself_otherwise_later_is_recognised_by_a_look_at_everyone(room, program):
    agent = room.start(program("claude"))
    agent.do("__import__('ctypes').CDLL(None).prctl(15, b'2.1.12', 0, 0, 0)")
    assert processes.comm(agent.pid) == "2.1.12"
    assert recognise_process(agent.pid, processes.comm(agent.pid), just_born=True) is None
    assert recognise_process(agent.pid, processes.comm(agent.pid)) == Recognised(Kind.AGENT, "claude")


def test_what_cannot_be_read_is_unknown(room, program, monkeypatch):
    agent = room.start(program("claude"))
    agent.do("1")
    unread = Unknown("what it runs", "a test says so")
    monkeypatch.setattr(processes, "program", lambda _: unread)
    assert recognise_process(agent.pid, processes.comm(agent.pid)) == unread
    assert recognise_process(2**22, "claude") == unread
    assert same_program(agent.pid, Session(Kind.AGENT, "claude", ProcessId(9, 9))) == unread


def test_the_same_program_is_the_same_agent_or_any_overmind(room, program):
    agent, manager = room.start(program("claude")), room.start(program("overmind"), "start")
    for puppet in (agent, manager):
        puppet.do("1")
    root = ProcessId(9, 9)
    assert same_program(agent.pid, Session(Kind.AGENT, "claude", root))
    assert not same_program(agent.pid, Session(Kind.AGENT, "codex", root))
    assert not same_program(agent.pid, Session(Kind.RUN, "claude", root))
    assert same_program(manager.pid, Session(Kind.OVERMIND, "whatever its title", root))
    assert not same_program(manager.pid, Session(Kind.AGENT, "claude", root))
