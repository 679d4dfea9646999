from __future__ import annotations

import pytest

from sentinel.core.facts import ProcessId, Surroundings, Unknown
from sentinel.core.guards import GUARDS, SERVING, UNANSWERED
from sentinel.core.judge import evidence, is_in_use, judge, lacks_an_answer
from sentinel.core.ledger import Witness
from sentinel.core.verdicts import Absent, Condemned, Grade, Spared
from tests.core.cases import TARGET, case, facts, member, session


def test_the_first_guard_that_speaks_gives_the_reason():
    verdict = judge(case(facts=facts(uid=0, state="T")))
    assert isinstance(verdict, Spared)
    assert (verdict.guard, verdict.name, verdict.id) == ("other-user", "node", TARGET)
    assert verdict.evidence


def test_what_nobody_saw_is_spared_even_without_any_guard():
    verdict = judge(case(facts=Unknown("what it is", "no answer")), guards=[])
    assert isinstance(verdict, Spared)
    assert verdict.guard == "unknown"


def test_a_condemned_one_is_proven_and_carries_what_was_seen():
    verdict = judge(case())
    assert isinstance(verdict, Condemned)
    assert verdict.grade is Grade.PROVEN
    assert verdict.facts == facts()
    assert verdict.evidence == evidence(case())
    assert judge(case(surroundings=Surroundings(ports=(3001,)))).ports == (3001,)


def test_evidence_of_a_living_session_and_of_nobodys_process():
    assert any("is alive" in sentence for sentence in evidence(case(death=None)))
    assert evidence(case(member=None)) == ("parent 1, session 90, terminal none, state S",)
    assert evidence(case(member=None, facts=Unknown("a", "b"))) == ()


def test_evidence_says_no_more_than_is_known():
    told = " / ".join(evidence(case(facts=facts(terminal=34816))))
    assert "its parent ended" not in told
    assert "terminal yes" in told
    found = member(witness=Witness.ROOT)
    found.parent = 0
    assert evidence(case(member=found))[0] == f"owned by {session().title} ({session().key}): {Witness.ROOT}"
    assert not any("alive" in sentence for sentence in evidence(case(death=Unknown("how it is", "no answer"))))


def test_the_guards_have_names_of_their_own():
    assert len({guard.id for guard in GUARDS}) == len(GUARDS)


def test_which_of_the_spared_are_worth_another_look():
    spared = {guard.id: Spared(TARGET, guard.id, "why") for guard in GUARDS}
    assert {name for name, verdict in spared.items() if lacks_an_answer([verdict])} == UNANSWERED
    assert {name for name, verdict in spared.items() if is_in_use([verdict])} == {SERVING}
    for asked in (lacks_an_answer, is_in_use):
        assert asked([Absent(TARGET), judge(case()), spared["nohup"]]) is False
    assert lacks_an_answer([Absent(TARGET), spared["nohup"], spared["unknown"]])
    assert is_in_use([Absent(TARGET), spared["nohup"], spared[SERVING]])


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({"shelter": Spared(ProcessId(9, 9), "daemonised", "it is")}, "daemonised"),
        ({"shelter": Spared(ProcessId(9, 9), "sheltered", "it is", under="unknown")}, "unknown"),
        ({"member": member(heir_of="nohup")}, "nohup"),
    ],
)
def test_who_is_sheltered_is_spared_by_what_spares_the_topmost(changes, origin):
    verdict = judge(case(**changes))
    assert (verdict.guard, verdict.origin) == ("sheltered", origin)
