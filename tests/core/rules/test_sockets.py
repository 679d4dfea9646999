from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.facts import Gone, SocketFacts, Unknown
from sentinel.core.rules.sockets import judge_socket
from sentinel.core.sessions import SocketMark
from sentinel.core.verdicts import Kept, Stale

UID = 1000
PATH = "/home/u/app/.overmind.sock"
MARK = SocketMark(PATH, 40, 7)
DEAD = SocketFacts(PATH, 40, 7, is_socket=True, uid=UID, modified=0.0, bound=False)
UNTOLD = Unknown("which sockets are bound", "no answer")
OWNER = "made by Overmind, which was killed by SIGKILL"


def judged(facts, mark=MARK):
    return judge_socket(mark, facts, UID, OWNER)


def test_a_socket_that_nobody_holds_is_stale_and_says_why():
    verdict = judged(DEAD)
    assert verdict == Stale(PATH, 40, 7, (OWNER, "no living socket is bound to this inode"))


def test_of_one_that_nobody_saw_alive_the_path_is_enough():
    assert isinstance(judged(DEAD, SocketMark(PATH)), Stale)


@pytest.mark.parametrize(
    ("facts", "guard", "why"),
    [
        (replace(DEAD, bound=True), "in-use", "a living process holds"),
        (replace(DEAD, bound=UNTOLD), "unknown", "no answer"),
        (replace(DEAD, is_socket=False), "not-a-socket", "not a socket"),
        (replace(DEAD, uid=0), "other-user", "uid 0"),
        (replace(DEAD, uid=1001), "other-user", "uid 1001"),
        (replace(DEAD, inode=8), "identity", "not the file"),
        (replace(DEAD, device=41), "identity", "not the file"),
        (Unknown(f"what is at {PATH}", "permission denied"), "unknown", "permission denied"),
    ],
)
def test_one_thing_that_is_different_keeps_it(facts, guard, why):
    verdict = judged(facts)
    assert isinstance(verdict, Kept)
    assert (verdict.path, verdict.guard) == (PATH, guard)
    assert why in verdict.reason


def test_where_there_is_no_file_there_is_nothing_to_decide():
    assert judged(Gone()) is None


anything = st.builds(
    SocketFacts,
    path=st.just(PATH),
    device=st.sampled_from([40, 41]),
    inode=st.sampled_from([7, 8]),
    is_socket=st.booleans(),
    uid=st.sampled_from([0, UID, 1001]),
    modified=st.floats(),
    bound=st.sampled_from([False, True, UNTOLD]),
)


@given(anything)
def test_only_a_dead_socket_of_ours_with_that_identity_is_ever_stale(facts):
    expected = facts.is_socket and facts.uid == UID and (facts.device, facts.inode) == (40, 7) and facts.bound is False
    assert isinstance(judged(facts), Stale) is expected


@given(anything)
def test_a_stale_verdict_carries_the_identity_that_was_looked_at(facts):
    verdict = judged(facts, SocketMark(PATH))
    if isinstance(verdict, Stale):
        assert (verdict.device, verdict.inode) == (facts.device, facts.inode)
