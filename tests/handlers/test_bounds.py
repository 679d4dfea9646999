"""A million births leave nothing behind but who still lives."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from sentinel.bus import Bus
from sentinel.core.events import ProcessExited, ProcessForked, SessionDied, SessionEmptied
from sentinel.core.facts import Gone, ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Kind, Session
from sentinel.handlers import bookkeeper
from sentinel.handlers.bookkeeper import Bookkeeper
from tests.handlers.room import Watched, ended

ROOT = ProcessId(100, 1)
NUMBERS = 3000
"""As many pids as there are in this world: each comes again hundreds of times."""


class World:
    """Stands in for kernel and handles: real ones cannot bear a million processes in ten seconds."""

    def __init__(self):
        self.alive = {ROOT.pid: ROOT}
        self.held = set()

    def take(self, pid):
        if (who := self.alive.get(pid)) is None:
            return Gone()
        self.held.add(who)
        return who

    def ended(self, who):
        return self.alive.get(who.pid) != who

    def status(self, who):
        return None

    def drop(self, who):
        self.held.discard(who)

    def identify(self, pid):
        return self.alive.get(pid, Gone())


@pytest.fixture
def world(monkeypatch):
    world = World()
    monkeypatch.setattr(bookkeeper.processes, "identify", world.identify)
    monkeypatch.setattr(bookkeeper, "_born_after", lambda who, at: False)  # the clock of this world stands still
    return world


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def books(world, ledger, tmp_path):
    bus = Bus(lambda _, cause: cause)

    def close(key):
        if not ledger.members(key):
            ledger.close(key)

    bus.subscribe(SessionDied, lambda event: close(event.session.key))
    bus.subscribe(SessionEmptied, lambda event: close(event.key))
    books = Bookkeeper(bus, ledger, world, Watched(), sampled=False, runtime=tmp_path)
    world.take(ROOT.pid)
    ledger.open(Session(Kind.RUN, "storm", ROOT), 0.0)
    return books


def storm(books, ledger, world, first, births):
    """Births in chains of three and their ends, in the orders in which a kernel tells of them; some are lost."""
    forked, exited, alive = books.forked, books.exited, world.alive
    now, status = time.monotonic(), ended()
    for number in range(first, first + births, 3):
        family = [1000 + (number + i) % NUMBERS for i in range(3)]
        for pid in family:
            alive[pid] = ProcessId(pid, 2 + number)  # ticks: long before anything that is told here
        parent, middle, last = family
        if number % 5 == 0:
            del alive[middle]  # gone before we looked
        forked(ProcessForked(ROOT.pid, parent, now))
        forked(ProcessForked(parent, middle, now))
        if number % 50 == 1:
            ledger.open(Session(Kind.RUN, "inner", alive[middle]), now)
        forked(ProcessForked(middle, last, now))
        if number % 11 == 0:
            exited(ProcessExited(parent, status))  # its first thread
        for pid in family if number % 2 else reversed(family):
            alive.pop(pid, None)
            if number % 7:  # else the words on all three ends are lost, until their numbers come again
                exited(ProcessExited(pid, status))


def test_a_million_births_leave_nothing_behind(books, ledger, world):
    storm(books, ledger, world, 0, 850_000)
    tracemalloc.start()
    storm(books, ledger, world, 850_000, 75_000)
    before, _ = tracemalloc.get_traced_memory()
    storm(books, ledger, world, 925_000, 75_000)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 64 * 1024
    assert len(ledger) <= NUMBERS  # those whose ends were lost
    assert len(world.held) <= len(ledger)
    books.look_after()
    assert world.held == {ROOT}
    assert [record.session.root for record in ledger.sessions()] == [ROOT]
    assert len(ledger) == 1
    assert ledger.member(ROOT.pid).children == set()
    assert books._told == {}
    assert books._exits.now == set()
