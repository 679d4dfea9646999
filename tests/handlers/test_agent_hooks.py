"""Hooks of coding agents: who is above them counts, whatever they say."""

from __future__ import annotations

import os
import sys
import time

import pytest

from sentinel.core.events import HookFired, HookLeft, SessionDied, SessionOpened
from sentinel.core.facts import ProcessId
from sentinel.core.hooks import HookCall
from sentinel.core.sessions import Kind
from sentinel.handlers.agent_hooks import AgentHooks
from sentinel.observe import processes
from tests.handlers.room import becomes, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]


@pytest.fixture
def hooks(room):
    discovery = room.discover()
    return AgentHooks(room.bus, room.ledger, discovery, lambda: None)


@pytest.fixture
def claude(room, program):
    """A coding agent that nobody has noticed yet, and the pid of a hook that it runs, behind a shell."""
    agent = room.start(program("claude"))
    shell, hook = agent.bear_through(between="time.sleep(60)")
    return agent, shell, hook


NUMBERS = iter(range(1, 10_000))


def call(event="SessionStart", agent="claude", **more):
    return HookCall(f"{next(NUMBERS)}-1", agent, event, time.time(), **more)


def chain(pid):
    """What a hook of that pid would have written down."""
    return tuple(link.id for link in processes.chain(pid)[1:])


def the_note(room):
    return room.told(HookFired)[-1].note


def test_a_hook_registers_the_agent_above_it(room, hooks, claude):
    agent, _, hook = claude
    session = hooks.hear(call(detail="startup", conversation="0f8"), hook)
    assert (session.kind, session.name, session.root) == (Kind.AGENT, "claude", agent.who)
    assert session.conversation == "0f8"
    assert [event.how for event in room.told(SessionOpened)] == ["registered"]
    assert room.ledger.rooted_at(agent.pid) == session
    assert room.owner(hook) == session.key
    assert room.told(HookFired) == [HookFired(session, "claude", "SessionStart", "startup", "0f8")]


def test_a_session_that_is_known_stays_as_it_is(room, hooks, claude):
    agent, _, hook = claude
    known = room.open(agent.pid)
    session = hooks.hear(call(conversation="0f8"), hook)
    assert session.key == known.key
    assert room.told(SessionOpened) == []


def test_what_was_left_in_the_spool_is_believed_while_its_chain_is_true(room, hooks, claude):
    agent, _, hook = claude
    room.bus.publish(HookLeft(call(boot=processes.boot_id(), chain=chain(hook))))
    assert room.ledger.rooted_at(agent.pid).root == agent.who


@pytest.mark.parametrize("lie", ["another boot", "another process of that number", "nobody"])
def test_what_was_left_in_the_spool_and_is_not_true_any_more_opens_nothing(room, hooks, claude, lie):
    agent, _, hook = claude
    links, boot = chain(hook), processes.boot_id()
    match lie:
        case "another boot":
            boot = "d3867bce"
        case "another process of that number":
            links = tuple(ProcessId(link.pid, link.start - 1) for link in links)
        case "nobody":
            links = ()
    assert hooks.hear(call(boot=boot, chain=links)) is None
    assert room.ledger.rooted_at(agent.pid) is None
    assert the_note(room) == "no coding agent is above it"


def test_the_chain_that_a_hook_names_does_not_count_while_the_kernel_tells_its_own(room, hooks, claude, program):
    _, _, hook = claude
    other = room.start(program("codex"))
    session = hooks.hear(call(boot=processes.boot_id(), chain=(other.who,)), hook)
    assert session.name == "claude"
    assert room.ledger.rooted_at(other.pid) is None


def test_nor_where_the_kernels_leads_to_nobody(room, hooks, claude):
    agent, _, hook = claude
    stranger = room.start()
    forged = call(boot=processes.boot_id(), chain=chain(hook))
    assert hooks.hear(forged, stranger.do("bear()")) is None
    assert room.ledger.rooted_at(agent.pid) is None


def test_a_chain_that_leads_to_no_agent_makes_none(room, hooks):
    shell = room.start()
    hook = shell.do("bear()")
    assert hooks.hear(call(), hook) is None
    assert room.told(SessionOpened) == []


def test_the_first_agent_above_it_counts_and_not_the_outer_one(room, hooks, program):
    outer = room.start(program("claude"))
    inner = outer.do(f"subprocess.Popen([{program('codex')!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE).pid")
    becomes(inner, "codex")
    shell = outer.do("bear()")
    assert hooks.hear(call(boot=processes.boot_id(), chain=(processes.identify(inner), outer.who)), 0).name == "codex"
    assert hooks.hear(call(), shell).name == "claude"


def test_what_runs_with_the_name_of_its_launcher_is_its_session(room, hooks, program):
    launcher = room.start(program("codex"))
    hooks.hear(call(agent="codex", boot=processes.boot_id(), chain=(launcher.who,)))
    inner = launcher.do(f"subprocess.Popen([{program('codex')!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE).pid")
    becomes(inner, "codex")
    parents = (processes.identify(inner), launcher.who)
    assert hooks.hear(call(agent="codex", boot=processes.boot_id(), chain=parents)).root == launcher.who


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"agent": "codex"}, "it was installed for codex, and claude ran it"),
        ({"marks": (("CLAUDE_PID", "77"),)}, "CLAUDE_PID says 77, and process {pid} is above it"),
        (
            {"marks": (("CLAUDE_CODE_SESSION_ID", "another"),), "conversation": "0f8"},
            "CLAUDE_CODE_SESSION_ID says another, and its payload 0f8",
        ),
        ({"trouble": "its payload is no JSON"}, "its payload is no JSON"),
        ({"marks": (("CODEX_THREAD_ID", "outer"),), "conversation": "0f8"}, ""),
    ],
)
def test_what_does_not_agree_is_noted_and_the_chain_counts(room, hooks, claude, more, note):
    agent, _, hook = claude
    session = hooks.hear(call(**more), hook)
    assert session.root == agent.who
    assert the_note(room) == note.format(pid=agent.pid)


def test_marks_that_agree_are_not_worth_a_word(room, hooks, claude):
    agent, _, hook = claude
    marks = (("CLAUDE_PID", str(agent.pid)), ("CLAUDE_CODE_SESSION_ID", "0f8"))
    hooks.hear(call(marks=marks, conversation="0f8"), hook)
    assert the_note(room) == ""


def test_the_background_tasks_of_a_stop_are_the_sessions_until_the_next_one(room, hooks, claude):
    agent, _, hook = claude
    hooks.hear(call("Stop", tasks=("npm run dev", "tail \x1b[2J")), hook)
    assert room.ledger.rooted_at(agent.pid).tasks == ("npm run dev", "tail \\x1b[2J")
    hooks.hear(call("SessionStart", detail="compact"), hook)
    assert len(room.ledger.rooted_at(agent.pid).tasks) == 2
    hooks.hear(call("SubagentStop", tasks=("tail",)), hook)
    assert room.ledger.rooted_at(agent.pid).tasks == ("tail",)
    hooks.hear(call("Stop"), hook)
    assert room.ledger.rooted_at(agent.pid).tasks == ()


@pytest.mark.parametrize("reason", ["clear", "resume", "other", "logout", "prompt_input_exit"])
def test_the_end_of_a_session_is_no_death_as_long_as_its_root_lives(room, hooks, claude, reason):
    agent, shell, hook = claude
    hooks.hear(call(conversation="first"), hook)
    hooks.hear(call("SessionEnd", detail=reason, conversation="first"), hook)
    assert room.told(SessionDied) == []
    session = hooks.hear(call(detail=reason, conversation="second"), hook)
    assert (session.root, session.conversation) == (agent.who, "second")
    assert {room.owner(pid) for pid in (agent.pid, shell, hook)} == {session.key}
    assert len(room.told(SessionOpened)) == 1


def test_a_call_that_comes_twice_is_heard_once(room, hooks, claude):
    _, _, hook = claude
    one = call()
    hooks.hear(one, hook)
    hooks.hear(one)
    assert len(room.told(HookFired)) == 1


@pytest.mark.parametrize(
    ("environ", "unattended"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm", "CI": "false"}, False),
        ({"TERM": "xterm", "CI": "true"}, True),
        ({"TERM": "xterm", "CI": "1"}, True),
        ({"TERM": "dumb"}, True),
        ({}, True),
    ],
)
def test_nobody_sits_at_an_agent_in_a_pipeline(room, hooks, program, environ, unattended):
    words = [f"{name}={value}" for name, value in environ.items()]
    agent = room.start("env", "-i", f"PATH={os.environ['PATH']}", *words, program("claude"))
    becomes(agent.pid, "claude")
    assert hooks.hear(call(), agent.do("bear()")).unattended is unattended


def test_who_has_ended_since_is_no_session(room, hooks, claude):
    agent, _, hook = claude
    parents = chain(hook)
    agent.kill()
    until(lambda: agent.poll() is not None, "its end")
    assert hooks.hear(call(boot=processes.boot_id(), chain=parents)) is None
    assert room.told(SessionOpened) == []
