from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.facts import Gone, Unknown
from sentinel.core.rules import locks
from sentinel.core.rules.locks import LockFacts, LockKind, Shape, Standing, judge_lock, standing
from sentinel.core.verdicts import Kept, Stale

UID = 1000
PATH = "/home/u/shop/tmp/pids/server.pid"
DEAD = LockFacts(PATH, LockKind.PID_FILE, Shape.FILE, 40, 7, UID, 123, 60.0, "process 9", ended=True, local=True)
UNTOLD = Unknown("who has it open", "no answer")
MERCIES = [
    ("not-a-lock", {"shape": Shape.OTHER}, "not a file"),
    ("other-user", {"uid": 0}, "uid 0"),
    ("advisory", {"kind": LockKind.ADVISORY}, "the kernel locks it"),
    ("database", {"kind": LockKind.DATABASE}, "a running database"),
    ("unfinished", {"holder": ""}, "does not say"),
    ("unfinished", {"holder": "", "ended": UNTOLD}, "no answer"),
    ("unfinished", {"age": 1.9}, "less than 2 s"),
    ("held", {"ended": False}, "held by process 9"),
    ("elsewhere", {"ended": Unknown("whether it lives", "it is on another machine")}, "another machine"),
    ("elsewhere", {"local": False}, "one of a container"),
    ("in-use", {"users": ("flock (pid 8)",)}, "held by flock (pid 8)"),
    ("in-use", {"users": UNTOLD}, "no answer"),
    ("git", {"workers": ("git (pid 8)",)}, "git (pid 8)"),
    ("git", {"workers": UNTOLD}, "no answer"),
    ("more", {"others": ("notes.txt",)}, "notes.txt"),
]


def judged(facts):
    return judge_lock(facts, path=PATH, uid=UID)


def test_a_lock_whose_holder_has_ended_is_stale_and_says_why():
    assert judged(DEAD) == Stale(PATH, 40, 7, ("its holder, process 9, has ended", "nobody has it open"))


@pytest.mark.parametrize("age", [2.0, 60.0, 400 * 86400.0])
def test_age_proves_nothing(age):
    assert isinstance(judged(replace(DEAD, age=age)), Stale)
    assert judged(replace(DEAD, age=age, ended=False)).guard == "held"


@pytest.mark.parametrize(("guard", "protection", "why"), MERCIES)
def test_mercy_one_protection_keeps_a_lock_whose_holder_has_ended(guard, protection, why):
    verdict = judged(replace(DEAD, **protection))
    assert isinstance(verdict, Kept)
    assert verdict.guard == guard
    assert why in verdict.reason


@pytest.mark.parametrize(("guard", "protection", "why"), MERCIES)
def test_without_its_rule_the_same_lock_would_fall(guard, protection, why, monkeypatch):
    monkeypatch.setattr(locks, "RULES", tuple(rule for rule in locks.RULES if rule[0] != guard))
    verdict = judged(replace(DEAD, **protection))
    # A holder that may be elsewhere is spared twice: also by the rule for what does not say who he is.
    assert isinstance(verdict, Stale) or why in verdict.reason


def test_each_rule_has_its_mercy():
    assert {guard for guard, _, _ in MERCIES} == {name for name, _ in locks.RULES}


def test_what_is_gone_is_not_judged_and_what_cannot_be_seen_stays():
    assert judged(Gone()) is None
    assert judged(UNTOLD) == Kept(PATH, "unknown", str(UNTOLD))


@pytest.mark.parametrize(
    ("facts", "how"),
    [
        (Gone(), Standing.FREE),
        (UNTOLD, Standing.UNKNOWN),
        (DEAD, Standing.STALE),
        (replace(DEAD, ended=False), Standing.HELD),
        (replace(DEAD, ended=UNTOLD), Standing.UNKNOWN),
        (replace(DEAD, users=("flock (pid 8)",)), Standing.HELD),
        (replace(DEAD, users=UNTOLD), Standing.UNKNOWN),
        (replace(DEAD, kind=LockKind.ADVISORY, ended=UNTOLD), Standing.FREE),
        (replace(DEAD, kind=LockKind.ADVISORY, users=("next (pid 8)",)), Standing.HELD),
    ],
)
def test_who_asks_is_told(facts, how):
    told, why = standing(facts)
    assert told is how
    assert why


def test_whoever_lives_holds_it_wherever_that_is():
    assert judged(replace(DEAD, ended=False, local=False)).guard == "held"
    assert dict(locks.RULES)["elsewhere"](replace(DEAD, ended=False, local=False), UID) == ""
