"""When tmux servers are visited, and how often."""

from __future__ import annotations

import asyncio

import pytest

from sentinel.bus import Bus
from sentinel.core.events import FOUND, HandlerFailed, LookDue, Paused, SessionDied, SessionOpened, TmuxHinted
from sentinel.core.facts import Death, ProcessId, Unknown
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Belongings, Kind, Session, SocketMark
from sentinel.handlers.tmux_visits import TmuxVisits

SOCKET = SocketMark("/run/tmux-7/default", 1, 2)
SERVER = Session(Kind.TMUX, "default", ProcessId(70, 1), belongings=Belongings((SOCKET,)))
PANE = Session(Kind.PANE, "%1", ProcessId(71, 2), outer=SERVER.key)
AGENT = Session(Kind.AGENT, "claude", ProcessId(72, 3))


class House:
    """The visits, with a clock that the test turns, and visitors that answer as they are told."""

    def __init__(self):
        self.events, self.visits, self.calls = [], [], []
        self.answers = []
        self.bus = Bus(lambda event, cause: self.events.append(event) or 0)
        self.ledger = Ledger()
        self.late = []
        self.rooms = TmuxVisits(
            self.bus,
            self.ledger,
            (self.visit, self.after),
            lambda delay, call, *words: self.calls.append((delay, call, words)),
        )

    async def visit(self, server, socket):
        self.visits.append((server.key, socket.path))
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return None
        return answer

    async def after(self, server, socket):
        self.late.append(server.key)

    def open(self, *sessions):
        for session in sessions:
            self.ledger.open(session, 0.0)
            self.bus.publish(SessionOpened(session, FOUND))

    async def pass_time(self):
        """Until the next time that something is due; how long that was."""
        delay, call, words = self.calls.pop(0)
        call(*words)
        for _ in range(5):
            await asyncio.sleep(0)
        return delay


@pytest.fixture
def house():
    return House()


def play(scenario):
    asyncio.run(asyncio.wait_for(scenario, 20))


def test_a_server_is_visited_once_for_all_that_happens_at_a_time(house):
    async def scenario():
        house.open(SERVER, PANE)
        house.bus.publish(TmuxHinted("session-created", 70))
        house.bus.publish(LookDue("it is time"))
        assert len(house.calls) == 1
        await house.pass_time()
        assert house.visits == [(SERVER.key, SOCKET.path)]
        assert house.late == [SERVER.key]
        house.bus.publish(SessionDied(PANE, Death(0.0, 9)))
        await house.pass_time()
        assert len(house.visits) == 2

    play(scenario())


@pytest.mark.parametrize("hint", [TmuxHinted("session-created", 72), TmuxHinted("session-created", 4711)])
def test_a_hint_of_whom_we_do_not_know_as_a_server_means_nothing(house, hint):
    house.open(AGENT)
    house.bus.publish(hint)
    assert house.calls == []


def test_what_changes_the_status_line_has_every_server_visited(house):
    async def scenario():
        house.open(SERVER)
        await house.pass_time()
        house.bus.publish(Paused(None))
        await house.pass_time()
        assert len(house.visits) == 2

    play(scenario())


def test_one_that_does_not_answer_is_asked_again_and_then_left_in_peace(house):
    async def scenario():
        house.answers = [Unknown("it", "silence")] * 9
        house.open(SERVER)
        assert [await house.pass_time() for _ in range(3)] == [0.1, 0.5, 3.0]
        assert house.calls == []
        assert house.late == []  # who did not answer the first needs no second
        for _ in range(5):
            house.bus.publish(TmuxHinted("session-created", 70))
        assert await house.pass_time() == 60.0
        house.answers.clear()
        house.bus.publish(TmuxHinted("session-created", 70))
        assert await house.pass_time() == 60.0
        house.bus.publish(TmuxHinted("session-created", 70))
        assert await house.pass_time() == 0.1  # it has answered

    play(scenario())


def test_one_without_a_socket_is_not_asked(house):
    async def scenario():
        house.open(Session(Kind.TMUX, "lost", ProcessId(80, 1)))
        await house.pass_time()
        assert house.visits == []

    play(scenario())


def test_there_is_one_visit_at_a_time_and_another_for_what_came_meanwhile(house):
    async def scenario():
        door = asyncio.Event()
        house.answers = [door]
        house.open(SERVER)
        await house.pass_time()
        house.bus.publish(TmuxHinted("session-created", 70))
        await house.pass_time()
        assert len(house.visits) == 1
        door.set()
        await asyncio.sleep(0.01)
        await house.pass_time()
        assert len(house.visits) == 2

    play(scenario())


def test_a_dead_server_is_visited_no_more(house):
    async def scenario():
        house.open(SERVER)
        house.ledger.record(SERVER.key).death = Death(0.0, 9)
        house.bus.publish(SessionDied(SERVER, Death(0.0, 9)))
        await house.pass_time()
        assert house.visits == []
        house.bus.publish(LookDue("it is time"))
        assert house.calls == []

    play(scenario())


def test_a_visitor_that_fails_is_told_of_and_the_server_is_visited_again(house):
    async def scenario():
        house.answers = [ValueError("odd")]
        house.open(SERVER)
        await house.pass_time()
        assert [type(event) for event in house.events] == [SessionOpened, HandlerFailed]
        await house.pass_time()
        assert len(house.visits) == 2

    play(scenario())


def test_what_is_under_way_is_broken_off_at_the_end(house):
    async def scenario():
        before = asyncio.all_tasks()
        house.answers = [asyncio.Event()]
        house.open(SERVER)
        await house.pass_time()
        assert asyncio.all_tasks() != before
        await house.rooms.close()
        assert asyncio.all_tasks() == before

    play(scenario())
