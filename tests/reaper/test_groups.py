"""A whole control group is killed, or nobody in it: real groups, with processes that each test starts itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from sentinel.core.actions import KillGroup, Result
from sentinel.core.facts import ProcessFacts, ProcessId
from sentinel.core.scopes import name_for
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Absent, Condemned, Spared
from sentinel.errors import JournalUnwritable
from sentinel.observe import cgroups, processes
from sentinel.reaper import groups as hand

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"),
    pytest.mark.namespace,
    pytest.mark.usefixtures("groups"),
]

WRAPPER = ProcessId(4231, 99)


class Book:
    """A journal that only keeps, or refuses."""

    def __init__(self):
        self.intents = []
        self.full = False

    def intend(self, action, cause=0):
        if self.full:
            raise JournalUnwritable("no space left on device")
        self.intents.append((action, cause))
        return len(self.intents)


@pytest.fixture
def scope(groups):
    return groups.make(name_for(WRAPPER))


@pytest.fixture
def book():
    return Book()


@pytest.fixture
def start(groups):
    """Start a process in a group; it ends with the test."""
    started = []

    def start(path):
        process = subprocess.Popen(["/bin/sleep", "60"])
        groups.move(process.pid, path)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def run(scope, kind=Kind.RUN, root=WRAPPER):
    return Session(kind, "api", root, scope=scope)


def condemn(who, **more):
    return Condemned(who, ProcessFacts(who, 1, 1, 1, 0, "S", "sleep", os.getuid()), ("a test says so",), **more)


def kill(session, book, rejudge=condemn, look=lambda: None, held=lambda: ""):
    return hand.end(session, lambda: (look(), rejudge)[1], held=held, journal=book, cause=7)


def died_of(process):
    return -process.wait(timeout=20)


def test_whoever_is_in_it_is_killed_and_nobody_else(scope, start, groups, book):
    inside = [start(scope), start(scope), start(groups.make(f"{os.path.basename(scope)}/inner"))]
    outside = start(f"/{groups.top.name}")
    outcomes, intent = kill(run(scope), book)
    assert [died_of(process) for process in inside] == [9, 9, 9]
    assert outside.poll() is None
    assert {(o.result, o.name) for o in outcomes} == {(Result.KILLED, "sleep")}
    assert len(outcomes) == 3
    assert intent == 1
    ((action, cause),) = book.intents
    assert isinstance(action, KillGroup)
    assert (action.path, cause) == (scope, 7)


@pytest.mark.parametrize(
    "mercy",
    [
        lambda who: Spared(who, "daemonised", "a test says so", ()),
        lambda who: condemn(who, no_kill="it is a database"),
    ],
)
def test_one_that_is_spared_spares_them_all(scope, start, book, mercy):
    first, second = start(scope), start(scope)
    assert kill(run(scope), book, lambda who: mercy(who) if who.pid == second.pid else condemn(who)) == ((), 0)
    assert first.poll() is second.poll() is None
    assert book.intents == []


def test_those_that_cannot_be_caught_are_killed_without_having_been_seen(scope, start, book):
    # To the judge it had ended: as one of those looks that live for 50 us.
    process = start(scope)
    ((outcome,), _) = kill(run(scope), book, Absent)
    assert died_of(process) == 9
    assert (outcome.target, outcome.result) == (scope, Result.KILLED)


def test_the_judgement_is_by_a_look_that_began_when_it_was_known_who_is_in_the_group(scope, start, book, monkeypatch):
    start(scope)
    order, members = [], cgroups.processes_in
    monkeypatch.setattr(cgroups, "processes_in", lambda path: order.append("listed") or members(path))
    kill(run(scope), book, lambda who: order.append("judged") or condemn(who), lambda: order.append("looked"))
    assert order == ["listed", "looked", "judged"]


def test_of_whom_nobody_can_tell_who_it_is_spares_them_all(scope, start, book, monkeypatch):
    from sentinel.core.facts import Unknown

    process = start(scope)
    monkeypatch.setattr(processes, "identify", lambda pid: Unknown("who it is", "a test says so"))
    assert kill(run(scope), book) == ((), 0)
    assert process.poll() is None


def test_another_runs_group_is_not_touched(scope, start, book):
    process = start(scope)
    for session in (
        run(scope, root=ProcessId(WRAPPER.pid, 100)),
        run(scope, kind=Kind.AGENT),
        run(os.path.dirname(scope)),
        run(""),
        run(f"{scope}/../{os.path.basename(scope)}"),
    ):
        assert kill(session, book) == ((), 0)
    assert process.poll() is None
    assert book.intents == []


def test_another_users_group_is_not_touched(scope, start, book, groups):
    process = start(scope)
    os.chown(groups.top / os.path.basename(scope), 12345, -1)
    assert kill(run(scope), book) == ((), 0)
    assert process.poll() is None


def test_an_empty_one_is_left_alone(scope, book):
    assert kill(run(scope), book) == ((), 0)
    assert book.intents == []


def test_nothing_is_killed_that_cannot_be_recorded(scope, start, book):
    process = start(scope)
    book.full = True
    ((outcome,), _) = kill(run(scope), book)
    assert outcome.result is Result.REFUSED
    assert "no space left" in outcome.reason
    assert process.poll() is None


@pytest.fixture
def meanwhile(book, monkeypatch):
    """What happens while the intent waits for a busy disk."""
    intend, happen = book.intend, []

    def wait_for_the_disk(action, cause=0):
        time.sleep(0.4)
        for what in happen:
            what()
        return intend(action, cause)

    monkeypatch.setattr(book, "intend", wait_for_the_disk)
    return happen


def test_mercy_what_changes_while_the_journal_keeps_it_waiting_counts(scope, start, book, meanwhile):
    process, spared = start(scope), set()
    meanwhile.append(lambda: spared.add(process.pid))

    def judge(who):
        return Spared(who, "stopped", "a debugger came", ()) if who.pid in spared else condemn(who)

    ((outcome,), intent) = kill(run(scope), book, judge)
    assert (outcome.result, intent) == (Result.REFUSED, 1)
    assert process.poll() is None


def test_mercy_who_comes_into_the_group_while_the_journal_keeps_it_waiting_counts(scope, start, book, meanwhile):
    process, order = start(scope), []
    meanwhile.append(lambda: order.extend(["born", start(scope)]))

    def judge(who):
        order.append(who.pid)
        return condemn(who) if who.pid == process.pid else Spared(who, "daemonised", "a test says so", ())

    ((outcome,), _) = kill(run(scope), book, judge, lambda: order.append("looked"))
    assert outcome.result is Result.REFUSED
    _, _, _, newborn, *again = order
    assert again[0] == "looked"
    assert again[-1] == newborn.pid
    assert process.poll() is newborn.poll() is None


@pytest.mark.parametrize("judge", [condemn, Absent])
def test_mercy_a_pause_while_it_is_recorded_counts_whether_or_not_anybody_could_be_judged(scope, start, book, judge):
    process = start(scope)
    ((outcome,), intent) = kill(run(scope), book, judge, held=lambda: "a person has paused Sentinel")
    assert (outcome.result, outcome.reason, intent) == (Result.HELD, "a person has paused Sentinel", 1)
    assert process.poll() is None


def test_a_group_that_was_left_while_the_journal_kept_it_waiting_is_not_said_to_be_killed(
    scope, start, groups, book, meanwhile
):
    process = start(scope)
    meanwhile.append(lambda: groups.move(process.pid, f"/{groups.top.name}"))
    ((outcome,), _) = kill(run(scope), book)
    assert outcome.result is Result.REFUSED
    assert process.poll() is None


def test_only_an_empty_group_of_that_run_is_taken_away(scope, start, groups):
    directory = groups.top / os.path.basename(scope)
    other = groups.make("other")
    process = start(scope)
    hand.remove(WRAPPER, scope)
    hand.remove(WRAPPER, other)
    hand.remove(WRAPPER, "")
    assert directory.exists()
    assert (groups.top / "other").exists()
    process.kill()
    process.wait()
    hand.remove(WRAPPER, scope)
    assert not directory.exists()
    hand.remove(WRAPPER, scope)
