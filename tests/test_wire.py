"""What is understood, and what is not."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import wire
from sentinel.core.facts import ProcessId
from sentinel.core.hooks import HookCall

REQUESTS = [
    wire.Status(),
    wire.Sessions(),
    wire.Explain("claude \U0001f980 \x1b"),
    wire.Register(),
    wire.Started(17),
    wire.Leaving([1, 2, 3]),
    wire.Enlisted("nightly"),
    wire.Hook(HookCall("1-2", "claude", "Stop", 1.5, "boot", (ProcessId(7, 8),), tasks=("a",), marks=(("A", "b"),))),
    wire.Pause(1.5),
    wire.Resume(),
    wire.Keep("claude", off=True),
]


def test_each_request_comes_back_as_it_was():
    assert {type(request) for request in REQUESTS} == set(get_args(wire.Request))
    for request in REQUESTS:
        assert wire.decode_request(wire.encode(request)) == request
        assert b"\n" not in wire.encode(request)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
def test_a_field_that_nobody_knows_is_refused(request_):
    data = {**msgspec.json.decode(wire.encode(request_)), "force": True}
    with pytest.raises(msgspec.ValidationError, match="unknown field `force`"):
        wire.decode_request(msgspec.json.encode(data))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b'{"ask":"kill"}',
        b'{"ask":"Status"}',
        b'{"ask":1}',
        b'{"ask":"explain"}',
        b'{"ask":"explain","what":17}',
        b'{"ask":"started","pid":"17"}',
        b'{"ask":"started","pid":true}',
        b'{"ask":"leaving","pids":17}',
        b'{"ask":"leaving","pids":[1,null]}',
        b'{"ask":"status"}{"ask":"status"}',
        b'{"ask":"status"',
        b"\xff\xfe",
    ],
)
def test_what_is_no_request_is_refused(line):
    with pytest.raises(msgspec.MsgspecError):
        wire.decode_request(line)


@given(
    st.one_of(
        st.none(),
        st.integers(-(2**53), 2**53),
        st.text(),
        st.lists(st.text()),
        st.dictionaries(st.text(), st.booleans()),
    )
)
def test_a_reply_comes_back_as_it_was(data):
    assert wire.decode_reply(wire.encode(wire.Reply(ok=True, data=data))) == wire.Reply(ok=True, data=data)
    assert b"\n" not in wire.encode(wire.Reply(ok=True, data=data))
