"""What is said of a thing that somebody asks about."""

from __future__ import annotations

import os
import socket
import sys
import time

import pytest

from sentinel import wire
from sentinel.core.facts import ProcessId
from sentinel.core.guards import GUARDS
from sentinel.core.policy import KindPolicy, Mode, Policy, Survivors
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.errors import NoSuchThing
from sentinel.handlers.explanations import Explanations, session_as_data
from sentinel.handlers.leftovers import Leftovers
from sentinel.handlers.tmux_sessions import Inside
from sentinel.observe import processes
from tests.handlers.room import killed, until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]

HOSTILE = "x\x1b[2J\u202e\nclaude is fine\udcff"


@pytest.fixture
def explanations(room):
    leftovers = Leftovers(room.ledger, room.journal, room.where.quarantine, os.getuid())
    return Explanations(room.ledger, room.examiner, leftovers, lambda: room.policy)


@pytest.fixture
def agent(room):
    room.keep_books()
    agent = room.start()
    agent.session = room.open(agent.pid)
    return agent


def strings(data):
    match data:
        case str():
            yield data
        case dict():
            for value in data.values():
                yield from strings(value)
        case list() | tuple():
            for value in data:
                yield from strings(value)


def assert_harmless(data):
    """It can be sent, and shown."""
    assert all(text.isprintable() for text in strings(data)), list(strings(data))
    wire.encode(wire.Reply(ok=True, data=data))


# -- processes -------------------------------------------------------------------------------


def test_a_process_of_a_living_session_would_be_left_alone(room, agent, explanations):
    child = room.forked(agent.pid, agent.do("bear()"))
    told = explanations.explain(str(child))
    assert told["kind"] == "process"
    assert told["verdict"] == "spared"
    assert told["would"] == f"leave it alone: its session claude (pid {agent.pid}) is alive"
    assert any(f"born of process {agent.pid}, owned by claude" in sentence for sentence in told["evidence"])
    assert told["against"][0]["guard"] == "owner-alive"
    assert told["identity"] == str(processes.identify(child))


@pytest.mark.parametrize(("mode", "would"), [(Mode.ACT, "end it"), (Mode.OBSERVE, "end it, if the mode were act")])
def test_an_orphan_would_be_ended(room, agent, explanations, mode, would):
    room.policy = Policy(mode=mode)
    child = room.forked(agent.pid, agent.do("bear()"))
    agent.end()
    room.ledger.exited(agent.pid, killed())
    until(lambda: processes.above(child).parent != agent.pid)
    told = explanations.explain(str(child))
    assert (told["verdict"], told["would"], told["against"]) == ("condemned", would, [])


def test_each_guard_either_speaks_or_is_silent(room, agent, explanations):
    told = explanations.explain(str(room.forked(agent.pid, agent.do("bear()"))))
    speaking = [objection["guard"] for objection in told["against"]]
    silent = [guard["guard"] for guard in told["silent"]]
    assert "owner-alive" in speaking
    assert "nohup" in silent
    assert sorted([*speaking, *silent]) == sorted(guard.id for guard in GUARDS)


def test_a_zombie_needs_nothing(room, agent, explanations):
    child = room.forked(agent.pid, agent.do("bear('pass')"))
    until(lambda: processes.above(child).dead)
    assert explanations.explain(str(child))["would"] == "nothing: it has ended"


def test_a_stranger_is_nobodys(room, explanations):
    told = explanations.explain(str(room.start().pid))
    assert told["would"].startswith("leave it alone: no session that Sentinel watches bore it")
    assert told["evidence"][0].startswith("parent ")


@pytest.mark.parametrize(
    "what", ["999999999", "0", "\u00b2", "\u0663", "9" * 30, "9" * 5000, "", "nobody", "\x1b[2J", "-5"]
)
def test_what_is_not_there_is_said_in_a_sentence(explanations, what):
    with pytest.raises(NoSuchThing) as refusal:
        explanations.explain(what)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 300


def test_hostile_names_do_no_harm(room, explanations, tmp_path):
    room.keep_books()
    agent = room.start()
    path = str(tmp_path / HOSTILE)
    belongings = Belongings((SocketMark(path),), (), HOSTILE, str(tmp_path))
    session = room.open(agent.pid, Kind.PANE, HOSTILE, directory=path, belongings=belongings)
    agent.do(r"__import__('ctypes').CDLL(None).prctl(15, b'x\x1b[2J\n\xff', 0, 0, 0)")
    child = room.forked(agent.pid, agent.do("bear()"))
    record = room.ledger.record(session.key)
    for data in (
        explanations.explain(str(agent.pid)),
        explanations.explain(str(child)),
        explanations.explain(session.key),
        explanations.explain(path),
        session_as_data(record),
    ):
        assert_harmless(data)
    with pytest.raises(NoSuchThing) as refusal:
        explanations.explain(path + "/more")
    assert_harmless(str(refusal.value))
    agent.end()
    room.ledger.exited(agent.pid, killed())
    for data in (explanations.explain(str(child)), explanations.explain(path), explanations.session(record)):
        assert_harmless(data)


def test_a_path_that_cannot_be_looked_at_is_said_harmlessly(room, explanations, tmp_path):
    path = str(tmp_path / ("\x1b" + "n" * 300))
    session = Session(Kind.OVERMIND, "shop", ProcessId(4242, 7), belongings=Belongings((SocketMark(path),)))
    room.ledger.open(session, time.monotonic())
    room.ledger.exited(4242, killed())
    told = explanations.explain(path)
    assert told["would"].startswith("leave it alone: could not find out what is at ")
    assert_harmless(told)


# -- sessions --------------------------------------------------------------------------------


def test_a_session_is_found_by_key_id_and_name(room, agent, explanations):
    session = agent.session
    for what in (session.key, session.id, session.name):
        told = explanations.explain(what)
        assert (told["kind"], told["key"], told["pid"]) == ("session", session.key, agent.pid)
    assert told["would"] == "watch it, and at its death end what it leaves and spare its daemons"


def test_a_session_names_what_it_owns_and_why_that_would_stay(room, agent, explanations):
    child = room.forked(agent.pid, agent.do("bear()"))
    (member,) = explanations.explain("claude")["members"]
    assert (member["pid"], member["verdict"]) == (child, "spared")
    assert "is alive" in member["reason"]


def test_several_of_one_name_have_to_be_told_apart(room, agent, explanations):
    other = room.open(room.start().pid)
    with pytest.raises(NoSuchThing) as refusal:
        explanations.explain("claude")
    assert agent.session.id in str(refusal.value)
    assert other.id in str(refusal.value)
    assert explanations.explain(other.id)["key"] == other.key


def test_a_dead_session_says_how_it_died(room, agent, explanations):
    room.forked(agent.pid, agent.do("bear()"))
    room.ledger.exited(agent.pid, killed())
    told = explanations.explain("claude")
    assert told["alive"] is False
    assert told["would"] == "go on cleaning up: it was killed by SIGKILL"
    assert told["dead_for"] >= 0


def test_what_a_dead_session_still_owns_is_told_with_what_would_come_of_it(room, agent, explanations):
    room.forked(agent.pid, agent.do("bear()"))
    agent.end()
    room.ledger.exited(agent.pid, killed())
    room.ledger.settle(room.ledger.record(agent.session.key))
    told = explanations.explain("claude")
    assert told["would"] == (
        "nothing by itself: it was killed by SIGKILL, and was judged then;"
        " `sentinel clean` offers 1 process of what it left"
    )
    assert told["members"][0]["reason"] == "nothing speaks for it"
    room.policy = Policy(kinds=dict.fromkeys(Kind, KindPolicy(survivors=Survivors.REPORT)))
    told = explanations.explain("claude")
    assert told["would"] == "nothing more: it was killed by SIGKILL, and what is left of it is spared"
    assert told["members"][0]["reason"].startswith("left alone, ")


def test_what_tmux_calls_so_is_told_with_its_panes_and_what_they_own(room, explanations):
    room.keep_books()
    shell, server = room.start(), Session(Kind.TMUX, "default", ProcessId(8, 1))
    pane = room.open(shell.pid, Kind.PANE, "%1", outer=server.key, directory="/srv/shop")
    child = room.forked(shell.pid, shell.do("bear()"))
    inside = Inside(server, "$3", "work", (room.ledger.record(pane.key),))
    room.policy = Policy(kinds={Kind.PANE: KindPolicy(survivors=Survivors.REPORT)})
    told = explanations.explain("work", {"work": [inside]}.__getitem__)
    assert told["what"] == 'session "work" ($3) in tmux server "default"'
    assert told["would"] == "watch its panes, and at the death of each report what it leaves and spare its daemons"
    assert [one["id"] for one in told["panes"]] == [pane.id]
    assert [member["pid"] for member in told["members"] if member["pid"] != shell.pid] == [child]
    other = Inside(Session(Kind.TMUX, "other", ProcessId(9, 1)), "$0", "work", ())
    with pytest.raises(NoSuchThing, match="several tmux servers have a session work: default-8, other-9; say which"):
        explanations.explain("work", lambda _: [inside, other])
    assert explanations.explain("%1", {}.__getitem__)["key"] == pane.key  # ours first: nobody asks tmux


# -- paths -----------------------------------------------------------------------------------


def test_a_path_of_nobody_is_nobodys_to_remove(explanations):
    told = explanations.explain("/etc/passwd")
    assert told["would"] == "leave it alone: it is nobody's to remove"


def test_a_path_that_is_not_there_and_nobodys_is_said_not_to_be_there(explanations):
    with pytest.raises(NoSuchThing, match="there is no /etc/nosuch/file"):
        explanations.explain("/etc/nosuch/file")


@pytest.fixture
def socket_of(room, tmp_path):
    """A session and its socket file, held by us or by nobody."""

    def socket_of(*, held):
        path = str(tmp_path / "o.sock")
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(path)
        status = os.lstat(path)
        marks = (SocketMark(path, status.st_dev, status.st_ino),)
        session = Session(Kind.OVERMIND, "shop", ProcessId(4242, 7), belongings=Belongings(marks))
        room.ledger.open(session, time.monotonic())
        if not held:
            bound.close()
        return path, bound

    return socket_of


def test_the_socket_of_a_living_session_stays(explanations, socket_of):
    path, bound = socket_of(held=True)
    assert explanations.explain(path)["would"] == "leave it alone: its session is alive"
    bound.close()


@pytest.mark.parametrize(
    ("held", "would"), [(True, "leave it alone: a living process holds this socket"), (False, "remove it")]
)
def test_the_socket_of_a_dead_session_goes_if_nobody_holds_it(room, explanations, socket_of, held, would):
    path, bound = socket_of(held=held)
    room.ledger.exited(4242, killed())
    told = explanations.explain(path)
    assert told["would"] == would
    assert told["evidence"][0].startswith('it belongs to Overmind "shop"')
    bound.close()
    os.unlink(path)
    assert explanations.explain(path)["would"] == "nothing: it is not there any more"
