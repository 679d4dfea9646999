from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.facts import ProcessFacts, ProcessId
from sentinel.core.supervision import AT_ONCE, Revivals

SERVER = ProcessFacts(ProcessId(10, 1), 5, 10, 10, 0, "S", "node", 1000)


def after(rounds, target=SERVER, at=100.0):
    revivals = Revivals()
    for _ in range(rounds):
        revivals.ended([target], at)
    return revivals


def test_what_is_there_again_after_two_ends_is_revived():
    assert after(2).is_revived(replace(SERVER, id=ProcessId(12, 9)), 5, 100.5)
    assert after(2).is_revived(SERVER, 5, 99.0)  # while the others were still waited for


def test_once_is_no_proof_and_twenty_siblings_that_end_together_are_once():
    assert not after(1).is_revived(SERVER, 5, 100.5)
    revivals = Revivals()
    revivals.ended([replace(SERVER, id=ProcessId(pid, 1)) for pid in range(20, 40)], 100.0)
    assert not revivals.is_revived(SERVER, 5, 100.5)


@pytest.mark.parametrize(
    ("newborn", "bearer", "born"),
    [
        (replace(SERVER, name="ruby"), 5, 100.5),
        (replace(SERVER, parent=6), 6, 100.5),
        (SERVER, 7, 100.5),
        (SERVER, 5, 100.1 + AT_ONCE),
    ],
    ids=["another program", "another parent", "it fell to that parent", "later"],
)
def test_what_is_not_the_same_again_is_not_revived(newborn, bearer, born):
    assert not after(2).is_revived(newborn, bearer, born)


def test_init_supervises_nobody():
    assert not after(2, replace(SERVER, parent=1)).is_revived(replace(SERVER, parent=1), 1, 100.5)


def test_at_once_has_an_end_and_only_init_revives_nobody():
    assert after(2).is_revived(SERVER, 5, 102.0)
    assert not after(2).is_revived(SERVER, 5, 102.01)
    low = replace(SERVER, parent=2)
    assert after(2, low).is_revived(low, 2, 100.5)
    low = replace(SERVER, parent=1)
    assert not after(2, low).is_revived(low, 1, 100.5)
