"""Which lives leave nothing behind, by what was told of them alone."""

from __future__ import annotations

from sentinel.sources.fleeting import Turn, fleeting


def born(pid, parent):
    return (Turn.BIRTH, pid, parent)


def ended(pid):
    return (Turn.END, pid, 0)


def changed(pid):
    return (Turn.OTHER, pid, 0)


def passed(*story, watched=frozenset()):
    return dict(fleeting(story, watched))


def test_a_life_from_birth_to_end_with_all_that_is_told_of_it():
    assert passed(born(10, 5), changed(5), changed(10), ended(10)) == {10: [0, 2, 3]}


def test_one_that_goes_on_is_none():
    assert passed(born(10, 5), changed(10)) == {}


def test_one_whose_birth_was_told_before_is_none():
    assert passed(changed(10), ended(10)) == {}


def test_who_bears_one_that_goes_on_is_none():
    """A daemon forks twice: what goes on is owned through the one that did not."""
    assert passed(born(10, 5), born(11, 10), ended(10)) == {}


def test_who_bears_one_that_goes_on_longer_is_none():
    """At its own end the child still lived: that it had lost its parent has to be known."""
    assert passed(born(10, 5), born(11, 10), ended(10), ended(11)) == {11: [1, 3]}


def test_a_whole_family_that_is_over_by_itself():
    assert passed(born(10, 5), born(11, 10), ended(11), ended(10)) == {11: [1, 2], 10: [0, 3]}


def test_who_bears_a_bearer_is_none():
    assert passed(born(10, 5), born(11, 10), born(12, 11), ended(11), ended(10)) == {}


def test_whoever_gets_a_watched_number_is_none():
    assert passed(born(10, 5), ended(10), watched={10}) == {}


def test_a_number_that_is_borne_twice_counts_from_its_second_birth():
    """The end of the first was not heard; what is told of it stays."""
    assert passed(born(10, 5), changed(10), born(10, 6), ended(10)) == {10: [2, 3]}


def test_a_number_can_pass_twice():
    assert list(fleeting([born(10, 5), ended(10), born(10, 6), ended(10)], set())) == [(10, [0, 1]), (10, [2, 3])]
