"""The hand, on processes that each test starts itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from sentinel.core.actions import Result, Terminate, Unstick
from sentinel.core.facts import ProcessFacts, ProcessId
from sentinel.core.guards import Ourselves
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Absent, Condemned, Spared
from sentinel.errors import JournalUnwritable
from sentinel.observe import processes
from sentinel.observe.handles import Handles
from sentinel.reaper import signals
from sentinel.reaper.signals import Signaller
from sentinel.reaper.staleness import Glimpse

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="missing: Linux"), pytest.mark.namespace]

SESSION = Session(Kind.RUN, "test", ProcessId(2, 1))


class Book:
    """A journal that only keeps, or refuses."""

    def __init__(self, *, full=False):
        self.intents = []
        self.full = full

    def intend(self, action, cause=0):
        if self.full:
            raise JournalUnwritable("no space left on device")
        self.intents.append((action, cause))
        return len(self.intents)


@pytest.fixture
def handles():
    handles = Handles()
    yield handles
    handles.close()


@pytest.fixture
def start():
    """Start a process that says when it is ready; whatever is left of it ends with the test."""
    started = []

    def start(script="import time; print(flush=True); time.sleep(60)"):
        process = subprocess.Popen([sys.executable, "-I", "-S", "-c", script], stdout=subprocess.PIPE)
        process.stdout.readline()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
NOBODY = Ourselves(0, 0, os.getuid(), frozenset())


def condemned(process):
    facts = processes.look(process.pid)
    assert isinstance(facts, ProcessFacts)
    return Condemned(facts.id, facts, ("a test says so",))


def terminate(*processes, grace=5.0):
    return Terminate(SESSION, tuple(condemned(process) for process in processes), grace)


def see_through(signaller, action, rejudge=lambda who: Condemned(who, None, ())):
    async def scenario():
        strike = signaller.strike(action, 7, Glimpse())
        return await signaller.finish(strike, lambda: rejudge)

    return asyncio.run(scenario())


def test_what_obeys_is_ended(handles, start):
    book = Book()
    first, second = start(), start()
    outcomes = see_through(Signaller(handles, book, NOBODY), terminate(first, second))
    assert [outcome.result for outcome in outcomes] == [Result.ENDED, Result.ENDED]
    assert [process.wait() for process in (first, second)] == [-signal.SIGTERM, -signal.SIGTERM]
    assert [cause for _, cause in book.intents] == [7]


def test_signals_go_in_the_order_of_the_targets(handles, start, monkeypatch):
    sent = []
    send = signals._signal
    monkeypatch.setattr(signals, "_signal", lambda who, grip, number: (sent.append(who), send(who, grip, number))[1])
    action = terminate(start(), start(), start())
    see_through(Signaller(handles, Book(), NOBODY), action)
    assert sent == [target.id for target in action.targets]


def test_what_does_not_obey_is_killed_after_the_grace_and_a_second_judgement(handles, start):
    book, judged = Book(), []
    process = start(STUBBORN)

    def rejudge(who):
        judged.append(who)
        return Condemned(who, None, ())

    began = time.monotonic()
    outcomes = see_through(Signaller(handles, book, NOBODY), terminate(process, grace=0.3), rejudge)
    assert [outcome.result for outcome in outcomes] == [Result.KILLED]
    assert time.monotonic() - began >= 0.3
    assert process.wait() == -signal.SIGKILL
    assert len(judged) == 1
    assert [cause for _, cause in book.intents] == [7, 1]


@pytest.mark.parametrize(
    ("verdict", "result"),
    [(lambda who: Spared(who, "stopped", "it is stopped"), Result.REFUSED), (Absent, Result.ENDED)],
)
def test_the_second_judgement_is_heeded(handles, start, verdict, result):
    process = start(STUBBORN)
    outcomes = see_through(Signaller(handles, Book(), NOBODY), terminate(process, grace=0.1), verdict)
    assert [outcome.result for outcome in outcomes] == [result]
    assert process.poll() is None


@pytest.fixture
def slow(monkeypatch):
    """A journal whose disk is so busy that the judgement is old when the intent is recorded."""
    book = Book()
    intend = book.intend
    monkeypatch.setattr(book, "intend", lambda action, cause=0: (time.sleep(0.4), intend(action, cause))[1])
    return book


def test_who_may_not_be_killed_is_asked_to_end_all_the_same(handles, start, slow):
    obeys, stubborn = start(), start(STUBBORN)
    outcomes = see_through(
        Signaller(handles, slow, NOBODY),
        terminate(obeys, stubborn, grace=2.0),
        lambda who: Condemned(who, None, (), no_kill="it is a database"),
    )
    assert [(o.result, o.reason) for o in outcomes] == [(Result.ENDED, ""), (Result.SURVIVED, "it is a database")]
    assert obeys.wait() == -signal.SIGTERM
    assert stubborn.poll() is None


@pytest.mark.parametrize(
    ("verdict", "result"),
    [(lambda who: Spared(who, "stopped", "it is stopped"), Result.REFUSED), (Absent, Result.GONE)],
)
def test_who_is_spared_or_gone_before_anything_was_sent_did_not_end_of_it(handles, start, slow, verdict, result):
    process = start()
    (outcome,) = see_through(Signaller(handles, slow, NOBODY), terminate(process), verdict)
    assert outcome.result is result
    assert outcome.reason in {"", "it was about to be sent SIGTERM and is spared now: it is stopped"}
    assert process.poll() is None


def test_each_signal_has_a_look_of_its_own_and_what_answers_an_event_takes_none(handles, start, slow):
    process, looks = start(STUBBORN), []
    signaller, action = Signaller(handles, slow, NOBODY), terminate(process, grace=0.05)

    def look_again():
        looks.append(processes.look(process.pid))
        return lambda who: Condemned(who, None, ())

    async def scenario():
        strike = signaller.strike(action, 7, Glimpse())
        assert not strike.asked
        assert not looks
        return await signaller.finish(strike, look_again)

    (outcome,) = asyncio.run(scenario())
    assert outcome.result is Result.KILLED
    assert len(looks) == 3  # before SIGTERM, before SIGKILL, and as the disk was busy then, too, once more


def test_nothing_is_sent_that_cannot_be_recorded(handles, start):
    process = start()
    outcomes = see_through(Signaller(handles, Book(full=True), NOBODY), terminate(process))
    assert outcomes[0].result is Result.REFUSED
    assert "no space left" in outcomes[0].reason
    assert process.poll() is None


def test_no_kill_is_sent_that_cannot_be_recorded(handles, start):
    book = Book()
    process = start(STUBBORN)

    def fills_up(who):
        book.full = True
        return Condemned(who, None, ())

    outcomes = see_through(Signaller(handles, book, NOBODY), terminate(process, grace=0.1), fills_up)
    assert outcomes[0].result is Result.REFUSED
    assert process.poll() is None


def test_a_process_that_ended_before_is_gone_and_needs_no_intent(handles, start):
    book = Book()
    process = start()
    action = terminate(process)
    process.kill()
    process.wait()
    outcomes = see_through(Signaller(handles, book, NOBODY), action)
    assert [outcome.result for outcome in outcomes] == [Result.GONE]
    assert book.intents == []


def test_the_pid_of_another_is_not_signalled(handles, start):
    process = start()
    verdict = condemned(process)
    before = ProcessId(verdict.id.pid, verdict.id.start - 1)
    action = Terminate(SESSION, (Condemned(before, verdict.facts, ()),), 1.0)
    outcomes = see_through(Signaller(handles, Book(), NOBODY), action)
    assert [outcome.result for outcome in outcomes] == [Result.GONE]
    assert process.poll() is None


@pytest.mark.parametrize("protected", ["pid", "ancestor"])
def test_ourselves_are_refused_whatever_was_decided(handles, start, protected):
    process = start()
    ancestors = frozenset({process.pid}) if protected == "ancestor" else frozenset()
    us = Ourselves(process.pid if protected == "pid" else 0, 0, os.getuid(), ancestors)
    outcomes = see_through(Signaller(handles, Book(), us), terminate(process))
    assert [outcome.result for outcome in outcomes] == [Result.REFUSED]
    assert process.poll() is None


@pytest.mark.parametrize("pid", [1, 0, -1, -17])
def test_no_number_that_means_many_or_init_is_ever_used(handles, pid, monkeypatch):
    monkeypatch.setattr(signals, "_signal", lambda *_: pytest.fail("a signal was sent"))
    target = Condemned(ProcessId(pid, 5), processes.look(os.getpid()), ())
    outcomes = see_through(Signaller(handles, Book(), NOBODY), Terminate(SESSION, (target,), 1.0))
    assert [outcome.result for outcome in outcomes] == [Result.REFUSED]


def test_without_a_handle_nothing_is_sent(handles, start, monkeypatch):
    process = start()

    def none_left(pid):
        raise OSError(24, "Too many open files")

    action = terminate(process)
    monkeypatch.setattr(os, "pidfd_open", none_left)
    outcomes = see_through(Signaller(handles, Book(), NOBODY), action)
    assert [outcome.result for outcome in outcomes] == [Result.REFUSED]
    assert process.poll() is None


def test_a_handle_dropped_meanwhile_does_not_lose_the_end(handles, start):
    process = start()
    action = terminate(process)
    handles.take(process.pid)
    signaller = Signaller(handles, Book(), NOBODY)

    async def scenario():
        strike = signaller.strike(action, 0, Glimpse())
        handles.drop(action.targets[0].id)
        return await signaller.finish(strike, lambda: Absent)

    assert [outcome.result for outcome in asyncio.run(scenario())] == [Result.ENDED]


def test_no_descriptor_is_left_open(handles, start):
    before = len(os.listdir("/proc/self/fd"))
    see_through(Signaller(handles, Book(), NOBODY), terminate(*(start() for _ in range(5))))
    see_through(Signaller(handles, Book(full=True), NOBODY), terminate(start()))
    assert len(os.listdir("/proc/self/fd")) - before <= 6  # the pipes of the six actors themselves


def test_a_server_that_is_unstuck_gets_sigchld_and_lives(handles, start):
    script = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGCHLD, lambda *_: os.write(1, b'got it\\n'))\n"
        "print(flush=True)\n"
        "time.sleep(60)"
    )
    process = start(script)
    who = processes.identify(process.pid)
    outcome = Signaller(handles, Book(), NOBODY).unstick(Unstick(who, ()))
    assert outcome.result is Result.CURED
    assert process.stdout.readline() == b"got it\n"
    assert process.poll() is None


def test_a_signal_is_handed_on_to_a_child(start):
    process = start()
    signals.forward(process.pid, signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM
    signals.forward(process.pid, signal.SIGTERM)  # it is gone: nothing happens


def test_where_there_are_no_pidfds_the_number_is_used_after_a_fresh_look(handles, start, monkeypatch):
    monkeypatch.setattr("sentinel.observe.handles.HAS_PIDFD", False)
    monkeypatch.setattr(signals, "HAS_PIDFD", False)
    monkeypatch.setattr(signals.sys, "platform", "darwin")
    process = start()
    outcomes = see_through(Signaller(handles, Book(), NOBODY), terminate(process))
    assert [outcome.result for outcome in outcomes] == [Result.ENDED]
    assert process.wait() == -signal.SIGTERM
