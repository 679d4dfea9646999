"""Which lives leave nothing behind, by what was told of them alone."""

from __future__ import annotations

from sentinel.sources.fleeting import Turn, fleeting, going_on


def born(pid, parent):
    return (Turn.BIRTH, pid, parent)


def ended(pid):
    return (Turn.END, pid, 0)


def changed(pid):
    return (Turn.OTHER, pid, 0)


def passed(*story, watched=frozenset(), there=frozenset()):
    return sorted(fleeting(story, watched, lambda pid: pid not in there))


def test_a_life_from_birth_to_end_with_all_that_is_told_of_it():
    assert passed(born(10, 5), changed(5), changed(10), ended(10)) == [0, 2, 3]


def test_one_that_goes_on_is_none():
    assert passed(born(10, 5), changed(10)) == []


def test_one_whose_birth_was_told_before_is_none():
    assert passed(changed(10), ended(10)) == []


def test_who_bears_one_that_goes_on_is_none():
    """A daemon forks twice: what goes on is owned through the one that did not."""
    assert passed(born(10, 5), born(11, 10), ended(10)) == []


def test_who_bears_one_that_is_over_a_little_later_is_one():
    assert passed(born(10, 5), born(11, 10), ended(10), ended(11)) == [0, 1, 2, 3]


def test_one_that_is_still_there_is_none_nor_is_who_bore_it():
    """Its first thread has ended: a program in many threads became another one, or others go on."""
    story = born(10, 5), born(11, 10), ended(11), ended(10)
    assert passed(*story, there={11}) == []
    assert passed(*story, there={10}) == [1, 2]


def test_who_bears_one_after_the_end_of_its_first_thread_is_none():
    assert passed(born(10, 5), ended(10), changed(10), born(11, 10), ended(10)) == []


def test_a_whole_family_that_is_over_by_itself():
    assert passed(born(10, 5), born(11, 10), ended(11), ended(10)) == [0, 1, 2, 3]


def test_who_bears_a_bearer_is_none():
    assert passed(born(10, 5), born(11, 10), born(12, 11), ended(11), ended(10)) == []


def test_whoever_gets_a_watched_number_is_none():
    assert passed(born(10, 5), ended(10), watched={10}) == []


def test_a_number_that_is_borne_twice_counts_from_its_third_birth():
    """The end of the first was not heard: the second birth tells of it, and the end is not the first one's."""
    story = born(10, 5), changed(10), born(10, 6), ended(10), born(10, 7), ended(10)
    assert passed(*story) == [4, 5]


def test_a_number_can_pass_twice():
    assert passed(born(10, 5), ended(10), born(10, 6), ended(10)) == [0, 1, 2, 3]


def test_an_end_behind_which_more_is_told_was_that_of_a_first_thread():
    assert going_on([born(10, 5), ended(10), changed(10), born(11, 10), ended(10), changed(11)]) == {1: 4}
    assert going_on([ended(10), born(11, 10), born(12, 10), ended(11)]) == {0: 2}
    assert going_on([ended(10), ended(10), ended(10)]) == {0: 2, 1: 2}


def test_an_end_behind_which_nothing_is_told_but_another_birth_of_that_number_was_its_own():
    assert going_on([born(10, 5), born(11, 10), ended(10), changed(11)]) == {}
    assert going_on([ended(10), born(10, 5), changed(10), born(11, 10), ended(10)]) == {}
