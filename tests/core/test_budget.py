"""The budget: one blow counts once, and a storm comes to its end."""

from __future__ import annotations

import pytest

from sentinel.core.budget import ONE_BLOW, Budget, Cause, cause_of
from sentinel.core.facts import Death, ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.policy import Allowance
from sentinel.core.sessions import Kind, Session

PLENTY = 10_000
"""Processes of a user who runs very much."""


class Till:
    """A budget that is asked at moments of the test's choice, about a ledger of its own."""

    def __init__(self, **allowed):
        self.allowed = Allowance(**allowed)
        self.ledger = Ledger()
        self.budget = Budget()
        self.pid = 100
        self.now = 1000.0

    def session(self, outer="", kind=Kind.RUN, sid=0):
        self.pid += 1
        session = Session(kind, "it", ProcessId(self.pid, self.pid), outer=outer, sid=sid)
        self.ledger.open(session, self.now)
        return session

    def dies(self, session):
        self.ledger.exited(session.root.pid, Death(self.now, 9))

    def asks(self, session, number=1, population=PLENTY):
        cause = cause_of(self.ledger, session, self.now - self.allowed.seconds)
        return self.budget.refuses(cause, number, self.now, self.allowed, lambda enough: min(population, enough))

    def dies_and_asks(self, session, number=1, population=PLENTY):
        self.dies(session)
        return self.asks(session, number, population)


def test_one_dead_session_is_one_cause_however_much_it_owned_and_however_often_it_is_struck():
    till = Till(causes=1)
    session = till.session()
    till.dies(session)
    assert [till.asks(session, 40, population=40) for _ in range(12)] == [""] * 12


def test_what_is_beyond_the_causes_is_refused_with_the_figures():
    till = Till(causes=5)
    assert [till.dies_and_asks(till.session()) for _ in range(5)] == [""] * 5
    assert till.dies_and_asks(till.session()) == "6 causes within 30 s had something to end: the budget is 5"


def test_in_a_storm_of_a_thousand_deaths_nothing_is_ended_past_the_budget():
    till = Till()
    answers = []
    for number in range(1000):
        till.now += 0.001 * (number % 3)
        answers.append(till.dies_and_asks(till.session(sid=till.pid)))
    assert [number for number, answer in enumerate(answers) if not answer] == [0, 1, 2, 3, 4]


def test_a_refusal_costs_nothing_and_time_brings_the_budget_back():
    till = Till(causes=2)
    one, two, three = till.session(), till.session(), till.session()
    assert [till.dies_and_asks(one), till.dies_and_asks(two)] == ["", ""]
    assert till.dies_and_asks(three)
    till.now += 30.0
    assert till.asks(three)
    till.now += 0.1
    assert till.asks(three) == ""


def panes(till, number):
    server = till.session(kind=Kind.TMUX)
    return server, [till.session(outer=server.key, kind=Kind.PANE) for _ in range(number)]


@pytest.mark.parametrize("server_at", [0, 10, 20])
def test_twenty_panes_of_one_killed_server_are_one_cause_whoever_dies_first(server_at):
    till = Till(causes=1)
    server, windows = panes(till, 20)
    dying = [*windows[:server_at], server, *windows[server_at:]]
    for session in dying:
        till.now += ONE_BLOW / 30
        assert till.dies_and_asks(session) == ""
    assert till.dies_and_asks(till.session())


def test_a_pane_that_takes_its_time_died_of_its_server_as_the_others_did():
    till = Till(causes=1)
    server, windows = panes(till, 3)
    assert till.dies_and_asks(windows[0]) == ""
    till.dies(server)
    till.now += 10 * ONE_BLOW
    assert till.dies_and_asks(windows[1]) == ""
    inner = till.session(outer=windows[2].key, kind=Kind.AGENT)
    till.dies(windows[2])
    assert till.dies_and_asks(inner) == ""


def test_panes_that_are_closed_one_by_one_are_causes_of_their_own():
    till = Till(causes=3)
    _, windows = panes(till, 4)
    answers = []
    for window in windows:
        answers.append(till.dies_and_asks(window))
        till.now += 2 * ONE_BLOW
    assert [bool(answer) for answer in answers] == [False, False, False, True]


def test_what_one_closed_terminal_takes_along_is_one_cause():
    till = Till(causes=1)
    jobs = [till.session(sid=77) for _ in range(20)]
    assert [till.dies_and_asks(job) for job in jobs] == [""] * 20
    assert till.dies_and_asks(till.session(sid=78))


def test_who_died_long_ago_takes_nobody_along_today():
    till = Till(causes=1)
    outer = till.session(kind=Kind.AGENT)
    inner = [till.session(outer=outer.key) for _ in range(2)]
    till.dies(outer)
    till.now += 3600
    assert till.dies_and_asks(inner[0]) == ""
    till.now += 2 * ONE_BLOW
    assert till.dies_and_asks(inner[1])


def test_an_outer_session_that_is_closed_says_when_nothing_died_but_who_hung_together():
    till = Till(causes=1)
    server, windows = panes(till, 3)
    till.dies(server)
    till.ledger.close(server.key)
    assert [till.dies_and_asks(windows[0]), till.dies_and_asks(windows[1])] == ["", ""]
    till.now += 2 * ONE_BLOW
    assert till.dies_and_asks(windows[2])


def test_more_than_the_share_of_all_processes_is_refused_from_the_second_cause_on():
    till = Till(share=0.5)
    assert till.dies_and_asks(till.session(), 40, population=80) == ""
    assert till.dies_and_asks(till.session(), 20, population=80) == ""  # 60 of the 120 that there were
    assert till.dies_and_asks(till.session(), 1, population=60) == "61 of 120 processes were to be ended within 30 s"


def test_a_handful_is_never_a_massacre():
    till = Till(share=0.5)
    assert till.dies_and_asks(till.session(), 5, population=5) == ""
    assert till.dies_and_asks(till.session(), 5, population=5) == ""
    assert till.dies_and_asks(till.session(), 1, population=1)


def test_nobody_counts_processes_where_one_session_died():
    till = Till()
    session = till.session()
    till.dies(session)
    cause = cause_of(till.ledger, session, 0.0)
    assert till.budget.refuses(cause, 500, till.now, till.allowed, lambda: pytest.fail("counted")) == ""


def test_a_circle_of_sessions_has_an_end():
    till = Till()
    one = till.session(outer="nobody")
    two = till.session(outer=one.key)
    till.ledger.amend(Session(one.kind, one.name, one.root, outer=two.key))
    till.dies(one)
    one = till.ledger.record(one.key).session
    assert cause_of(till.ledger, one, 0.0) == Cause(one.key, frozenset({one.key, two.key}))


def test_nobody_is_counted_where_all_may_be_ended():
    till = Till(share=1.0)
    till.dies_and_asks(till.session(), 40)
    second = till.session()
    till.dies(second)
    cause = cause_of(till.ledger, second, 0.0)
    assert till.budget.refuses(cause, 40, till.now, till.allowed, None) == ""


@pytest.mark.parametrize(("later", "causes"), [(2.0, 1), (2.01, 2), (2.9, 2)])
def test_one_blow_lasts_two_seconds(later, causes):
    budget = Budget()
    allowed = Allowance(causes=1)
    for name, at in ("a", 100.0), ("b", 100.0 + later):
        refused = budget.refuses(Cause(name, frozenset({name, "terminal session 7"})), 1, at, allowed, lambda n: n)
    assert bool(refused) is (causes == 2)


def test_the_outermost_that_died_lately_is_the_origin_and_no_other():
    till = Till()
    far = till.session()
    outer = till.session(outer=far.key)
    inner = till.session(outer=outer.key)
    for session in (far, outer, inner):
        till.dies(session)
    assert cause_of(till.ledger, inner, till.now).origin == far.key
    assert cause_of(till.ledger, inner, till.now + 0.1).origin == inner.key


def test_one_that_lives_between_two_dead_ones_parts_their_causes():
    till = Till()
    far = till.session()
    between = till.session(outer=far.key)
    inner = till.session(outer=between.key)
    for session in (far, inner):
        till.dies(session)
    assert cause_of(till.ledger, inner, till.now - 30.0).origin == inner.key


def test_the_second_cause_may_not_end_half_of_everything():
    till = Till(causes=9)
    assert till.dies_and_asks(till.session(), 11, population=20) == ""
    refused = till.dies_and_asks(till.session(), 11, population=9)
    assert refused == "22 of 20 processes were to be ended within 30 s"


def test_what_was_ended_already_counts_among_the_living_of_before():
    """44 are enough for 22 to be half of; 11 of them have been ended, so 33 have to be there still."""
    till = Till(causes=9)
    assert till.dies_and_asks(till.session(), 11) == ""
    asked = []
    cause = cause_of(till.ledger, till.session(), till.now)
    till.budget.refuses(cause, 11, till.now, till.allowed, lambda enough: asked.append(enough) or enough)
    assert asked == [33]


def test_a_cause_that_goes_on_is_not_over():
    till = Till(causes=1)
    first, second = till.session(), till.session()
    assert till.dies_and_asks(first) == ""
    till.now += 29.0
    assert till.asks(first) == ""
    till.now += 29.0
    assert till.dies_and_asks(second)
