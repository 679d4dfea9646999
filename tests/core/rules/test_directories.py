import re
import stat
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.facts import DirectoryFacts, Gone, Unknown
from sentinel.core.rules.directories import INSTANCE, judge_directory, slug
from sentinel.core.verdicts import Kept, Stale

UID = 1000
NAME = "overmind-my-app-V1StGXR8_Z5jdHi6B-myT"
PATH = f"/var/folders/T/{NAME}"
LEFT = DirectoryFacts(PATH, 40, 7, UID, stat.S_IFDIR | 0o700, modified=150.0)
UNTOLD = Unknown("which sockets are bound", "no answer")
OWNER = "made by Overmind, which was killed by SIGKILL"


def judged(facts, *, path=PATH, living=frozenset(), rivals=False):
    return judge_directory(
        facts, path=path, uid=UID, lifetime=(100.0, 200.0), living=living, rivals=rivals, owner=OWNER
    )


def test_a_directory_whose_name_nobody_has_is_stale_and_says_why():
    verdict = judged(LEFT, living={"overmind-my-app-AAAAAAAAAAAAAAAAAAAAA", "default"})
    assert isinstance(verdict, Stale)
    assert (verdict.path, verdict.device, verdict.inode) == (PATH, 40, 7)
    assert verdict.evidence[0] == OWNER
    assert "no living tmux server" in verdict.evidence[1]


@pytest.mark.parametrize("modified", [100.0, 200.0])
def test_the_first_and_the_last_moment_belong_to_its_life(modified):
    assert isinstance(judged(replace(LEFT, modified=modified)), Stale)


@pytest.mark.parametrize(
    ("facts", "around", "guard"),
    [
        (LEFT, {"living": {NAME}}, "in-use"),
        (LEFT, {"living": UNTOLD}, "unknown"),
        (LEFT, {"rivals": True}, "unknown"),
        (replace(LEFT, uid=0), {}, "other-user"),
        (replace(LEFT, mode=stat.S_IFDIR | 0o755), {}, "not-overmind"),
        (replace(LEFT, mode=stat.S_IFDIR | 0o701), {}, "not-overmind"),
        (replace(LEFT, mode=stat.S_IFREG | 0o700), {}, "not-overmind"),
        (replace(LEFT, mode=stat.S_IFLNK | 0o700), {}, "not-overmind"),
        (LEFT, {"path": "/var/folders/T/overmind-notes"}, "not-overmind"),
        (LEFT, {"path": f"/var/folders/T/x{NAME}"}, "not-overmind"),
        (replace(LEFT, modified=99.9), {}, "identity"),
        (replace(LEFT, modified=200.1), {}, "identity"),
        (Unknown(f"what is at {PATH}", "permission denied"), {}, "unknown"),
    ],
)
def test_one_thing_that_is_different_keeps_it(facts, around, guard):
    verdict = judged(facts, **around)
    assert isinstance(verdict, Kept)
    assert verdict.guard == guard


def test_where_there_is_no_directory_there_is_nothing_to_decide():
    assert judged(Gone()) is None


@given(
    st.builds(
        DirectoryFacts,
        path=st.just(PATH),
        device=st.just(40),
        inode=st.just(7),
        uid=st.sampled_from([0, UID]),
        mode=st.sampled_from([stat.S_IFDIR | 0o700, stat.S_IFDIR | 0o770, stat.S_IFREG | 0o700]),
        modified=st.sampled_from([0.0, 150.0, 300.0]),
    ),
    st.sampled_from([frozenset(), frozenset({NAME}), UNTOLD]),
    st.booleans(),
)
def test_a_single_doubt_keeps_it(facts, living, rivals):
    sure = facts == replace(LEFT, uid=UID) and living == frozenset() and not rivals
    assert isinstance(judged(facts, living=living, rivals=rivals), Stale) is sure


# -- names ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "word"),
    [
        ("My App", "my-app"),
        ("my--app", "my-app"),
        ("a_b.c/d", "a-b-c-d"),
        ("-x-", "-x-"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "caf-"),
        ("v2", "v2"),
    ],
)
def test_a_title_is_written_as_overmind_writes_it(title, word):
    assert slug(title) == word


@given(st.text(min_size=1))
def test_a_title_becomes_a_word_that_stays_itself(title):
    word = slug(title)
    assert re.fullmatch("[a-z0-9-]+", word)
    assert "--" not in word
    assert slug(word) == word


@pytest.mark.parametrize("random", ["a" * 20, "a" * 20 + "~", "a" * 20 + "\n", ""])
def test_another_random_part_is_not_overminds(random):
    assert INSTANCE.fullmatch(f"overmind-app-{random}") is None


@given(st.text(min_size=1), st.from_regex("[A-Za-z0-9_-]{21}", fullmatch=True))
def test_the_random_part_is_matched_from_the_right(title, random):
    found = INSTANCE.fullmatch(f"overmind-{slug(title)}-{random}")
    assert found is not None
    assert found["title"] == slug(title)
