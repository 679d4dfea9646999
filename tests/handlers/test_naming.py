from __future__ import annotations

import pytest

from sentinel.core.facts import ProcessId
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Kind, Session
from sentinel.errors import NoSuchThing
from sentinel.handlers.naming import is_pid, session_called, sessions_called


@pytest.fixture
def ledger():
    ledger = Ledger()
    for pid, name in ((10, "p1"), (11, "p1"), (12, "p1-10")):
        ledger.open(Session(Kind.RUN, name, ProcessId(pid, 7)), 0.0)
    return ledger


@pytest.mark.parametrize("what", ["1", "4194304"])
def test_a_pid_is_digits(what):
    assert is_pid(what)


@pytest.mark.parametrize("what", ["p1", "²", "-1", ""])
def test_anything_else_is_a_name(what):
    assert not is_pid(what)


def test_what_is_longer_than_a_pid_is_a_name():
    assert not is_pid("12345678901")


@pytest.mark.parametrize(("name", "pid"), [("p1-10@7", 10), ("p1-10", 10), ("p1-11", 11), ("p1-10-12", 12)])
def test_the_most_exact_name_counts(ledger, name, pid):
    assert session_called(ledger, name).session.root.pid == pid


def test_a_session_goes_by_its_ids_in_the_registry_too(ledger):
    ledger.open(Session(Kind.REGISTERED, "Import", ProcessId(13, 7), registered=("nightly-1", "p1")), 0.0)
    assert session_called(ledger, "nightly-1").session.root.pid == 13
    assert [record.session.root.pid for record in sessions_called(ledger, "p1")] == [10, 11, 13]


def test_a_name_of_several_or_of_none_is_refused_with_those_there_are(ledger):
    assert len(sessions_called(ledger, "p1")) == 2
    with pytest.raises(NoSuchThing, match="several sessions are called p1: p1-10, p1-11"):
        session_called(ledger, "p1")
    with pytest.raises(NoSuchThing, match=r"no living session is called \\x1b"):
        session_called(ledger, "\x1b")
