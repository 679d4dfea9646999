"""What the agent says on its terminal."""

from __future__ import annotations

import pytest

from sentinel.cli.live import Live, greeting
from sentinel.core.actions import Outcome, Result
from sentinel.core.events import CleanedUp, Notified, SessionClosed, SessionDied, SessionJudged, SessionOpened
from sentinel.core.facts import Death, ProcessId
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Absent
from sentinel.handlers.enquiries import Condition

RUN = Session(Kind.RUN, "api", ProcessId(4231, 7))
DEATH = Death(1.0, 0)


def told(*events):
    lines = []
    live = Live(lines.append)
    for event in events:
        live(event)
    return [line[10:] for line in lines]  # behind the time


def test_what_happens_is_said_in_one_harmless_line():
    (line,) = told(SessionDied(Session(Kind.RUN, "x\x1b[2J\n\u202e", ProcessId(4231, 7)), Death(1.0, 9)))
    assert line.isprintable()
    assert line.endswith("was killed by SIGKILL")


def test_of_a_session_that_leaves_nothing_birth_and_end_are_told():
    life = (
        SessionOpened(RUN, "registered"),
        SessionDied(RUN, DEATH),
        SessionJudged(RUN, DEATH, ()),
        SessionClosed(RUN),
    )
    assert told(*life) == ['api-4231 is watched: "api", registered', "api-4231 ended in good order"]


def test_of_one_that_left_something_all_is_told():
    judged = SessionJudged(RUN, DEATH, (Absent(ProcessId(5, 1)),))
    done = CleanedUp(RUN, (Outcome("5@1", Result.ENDED),), 0.004)
    assert len(told(SessionDied(RUN, DEATH), judged, done, SessionClosed(RUN))) == 4


def test_a_later_session_of_the_same_name_is_another_one():
    later = Session(Kind.RUN, "api", ProcessId(4231, 8))
    assert len(told(SessionJudged(RUN, DEATH, ()), SessionClosed(later))) == 1


def test_why_a_notification_was_not_shown_is_told_until_it_is_another_reason_or_one_is_shown():
    no_bus, too_many = (Notified(RUN.key, "it died", shown=False, why=why) for why in ("no bus", "too many"))
    shown = Notified(RUN.key, "it died", shown=True)
    assert told(no_bus, no_bus, too_many, too_many, no_bus, shown, no_bus, no_bus) == [
        "not shown (no bus)",
        "not shown (too many)",
        "not shown (no bus)",
        "told: it died",
        "not shown (no bus)",
    ]


def test_a_terminal_that_was_closed_stops_nobody():
    def closed(_):
        raise OSError(5, "Input/output error")

    Live(closed)(SessionClosed(RUN))


@pytest.mark.parametrize(
    ("why", "observes", "told", "said"),
    [
        ("", False, True, "Ctrl-C ends it."),
        ("", False, False, "Sentinel 1.2 watches (polling). Ctrl-C ends it."),
        ("a container", False, False, "Sentinel 1.2 watches (polling, a container). Ctrl-C ends it."),
        ("", True, True, 'It only observes: nothing is ended (mode = "observe"). Ctrl-C ends it.'),
    ],
)
def test_the_greeting_says_how_it_watches_and_how_to_end_it(why, observes, told, said):
    assert greeting(Condition("1.2", "polling", why), observes=observes, told=told) == said
