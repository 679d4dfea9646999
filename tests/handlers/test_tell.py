"""What a person is told, and when nobody is."""

from __future__ import annotations

import asyncio
import time

import pytest

from sentinel.bus import Bus
from sentinel.core.actions import Outcome, Result
from sentinel.core.events import BreakerOpened, CleanedUp, Notified, SessionJudged
from sentinel.core.facts import Death, ProcessId
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Spared
from sentinel.handlers.tell import Tell, summary
from sentinel.notify.delivery import Delivery

CLAUDE = Session(Kind.AGENT, "claude", ProcessId(4231, 7))
KILLED = Death(1.0, 9)


class Shelf:
    """Stands in for the desktop: keeps what it is to show."""

    def __init__(self, delivery=None, wait=0.0):
        self.sent = []
        self._delivery = delivery or Delivery(shown=True)
        self._wait = wait

    async def send(self, title, body):
        await asyncio.sleep(self._wait)
        self.sent.append((title, body))
        return self._delivery


def outcomes(*results):
    return tuple(Outcome(f"{number}@1", result) for number, result in enumerate(results))


def tell(*events, shelf, threshold=1):
    """Publish events and wait until everything is told. Returns what was recorded."""
    recorded = []

    async def scenario():
        bus = Bus(lambda event, cause: (recorded.append((event, cause)), len(recorded))[1])
        it = Tell(bus, shelf, lambda: threshold)
        for event in events:
            bus.publish(event)
        await it.close()

    asyncio.run(scenario())
    return recorded


@pytest.mark.parametrize(
    ("results", "text"),
    [
        ([Result.ENDED], "1 process ended"),
        ([Result.ENDED] * 3, "3 processes ended"),
        ([Result.ENDED, Result.KILLED], "2 processes ended (1 by SIGKILL)"),
        ([Result.REMOVED], "1 stale file removed"),
        ([Result.ENDED, Result.REMOVED, Result.REMOVED], "1 process ended, 2 stale files removed"),
        ([Result.SURVIVED, Result.REFUSED], "2 could not be cleaned"),
    ],
)
def test_one_sentence_says_what_was_done(results, text):
    assert summary(CLAUDE, KILLED, list(outcomes(*results)), 0) == (
        f"claude was killed by SIGKILL: {text}.\nsentinel explain claude-4231"
    )


def test_a_name_cannot_add_a_line_to_what_is_told():
    hostile = Session(Kind.RUN, "make\nclaude is well\x1b[2J\u202e", ProcessId(4231, 7))
    lines = summary(hostile, KILLED, list(outcomes(Result.ENDED)), 0).split("\n")
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_what_was_left_alone_is_said_too():
    assert "1 process ended, 2 left alone." in summary(CLAUDE, None, list(outcomes(Result.ENDED)), 2)
    assert summary(CLAUDE, None, list(outcomes(Result.ENDED)), 0).startswith("claude ended: ")


def test_what_was_held_is_said_with_the_reason():
    held = Outcome("1@7", Result.HELD, "a person has paused Sentinel")
    said = summary(CLAUDE, None, [held], 0)
    assert said.startswith("claude ended: 1 process not ended (a person has paused Sentinel).")


def test_a_breaker_that_opens_is_told_once_and_what_it_holds_is_not():
    shelf = Shelf()
    held = Outcome("1@7", Result.HELD, "the kill budget is spent")
    recorded = tell(BreakerOpened("6 causes within 30 s"), CleanedUp(CLAUDE, (held,), 0.1), shelf=shelf)
    assert shelf.sent == [("Sentinel stopped itself", "It only reports now: 6 causes within 30 s.\nsentinel resume")]
    assert recorded[-1][0] == Notified("", shelf.sent[0][1], shown=True)


def test_a_clean_up_is_told_with_how_it_died_and_recorded_as_its_consequence():
    shelf = Shelf()
    spared = Spared(ProcessId(9, 1), "nohup", "it was started to outlive its terminal")
    judged = SessionJudged(CLAUDE, KILLED, (spared,))
    recorded = tell(judged, CleanedUp(CLAUDE, outcomes(Result.ENDED), 0.1), shelf=shelf)
    ((_, body),) = shelf.sent
    assert body.startswith("claude was killed by SIGKILL: 1 process ended, 1 left alone.")
    event, cause = recorded[-1]
    assert event == Notified(CLAUDE.key, body, shown=True)
    assert cause == 2


def test_one_that_could_not_be_shown_is_recorded_with_the_reason():
    recorded = tell(
        CleanedUp(CLAUDE, outcomes(Result.ENDED), 0.1),
        shelf=Shelf(Delivery(shown=False, why="this log-in has no desktop")),
    )
    assert (recorded[-1][0].shown, recorded[-1][0].why) == (False, "this log-in has no desktop")


@pytest.mark.parametrize(
    ("results", "threshold"), [([Result.GONE] * 3, 1), ([Result.ENDED] * 2, 3), ([Result.ENDED, Result.GONE], 2)]
)
def test_what_is_not_worth_it_is_not_told(results, threshold):
    shelf = Shelf()
    tell(CleanedUp(CLAUDE, outcomes(*results), 0.1), shelf=shelf, threshold=threshold)
    assert shelf.sent == []


def test_a_person_who_wants_no_notifications_gets_none():
    recorded = tell(CleanedUp(CLAUDE, outcomes(Result.ENDED), 0.1), shelf=None)
    assert [type(event) for event, _ in recorded] == [CleanedUp]


def test_how_one_died_is_forgotten_with_its_clean_up_and_never_kept_for_many():
    shelf = Shelf()
    others = [SessionJudged(Session(Kind.AGENT, "codex", ProcessId(n, 1)), KILLED, ()) for n in range(2, 400)]
    cleaned = CleanedUp(CLAUDE, outcomes(Result.ENDED), 0.1)
    tell(SessionJudged(CLAUDE, KILLED, ()), *others, cleaned, cleaned, shelf=shelf)
    assert [body.partition(":")[0] for _, body in shelf.sent] == ["claude ended", "claude ended"]


def test_nobody_waits_for_a_slow_desktop_but_the_farewell():
    shelf = Shelf(wait=0.2)
    began = time.monotonic()
    cleaned = CleanedUp(CLAUDE, outcomes(Result.ENDED), 0.1)
    recorded = tell(cleaned, cleaned, cleaned, shelf=shelf)
    assert [type(event) for event, _ in recorded] == [CleanedUp] * 3 + [Notified] * 3
    assert time.monotonic() - began < 20
