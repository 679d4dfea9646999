from __future__ import annotations

import contextlib

import pytest

from sentinel.errors import SentinelError
from sentinel.registry import hearing
from tests.cli.standin import StandIn


def test_what_the_agent_answers_comes_back(where):
    with contextlib.closing(StandIn(where.inbox, lambda _: {"session": "x"})) as agent:
        assert hearing.tell(where.inbox, "api") == {"session": "x"}
    assert agent.asked == [{"ask": "enlisted", "session": "api"}]


def test_no_agent_is_no_answer_and_no_refusal(where):
    assert hearing.tell(where.inbox, "api") is None


def test_a_refusal_is_raised_with_its_sentence(where):
    with (
        contextlib.closing(StandIn(where.inbox, lambda _: SentinelError("it has ended"))),
        pytest.raises(SentinelError, match="it has ended"),
    ):
        hearing.tell(where.inbox, "api")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"session": "x", "doubts": {"7": "it is\x1b[2J another's", "8": "no"}}, "it is\\x1b[2J another's"),
        ({"session": "x", "doubts": {"8": "no"}}, ""),
        ({"session": "x", "doubts": ["7"]}, ""),
        ({"session": "x"}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_a_doubt_is_about_the_process_that_is_asked_for(answer, why):
    assert hearing.doubt(answer, 7) == why
