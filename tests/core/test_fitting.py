import json

from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.fitting import cleaned, shorter
from sentinel.core.sanitise import clean

data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["path", "evidence", "facts", "id"]), inner),
)


def verdict(number):
    sentences = [f"{word} sentence " + "x" * 300 for word in ("first", "second", "third", "fourth", "fifth")]
    return {"id": f"{number}@7", "grade": "proven", "evidence": sentences, "facts": {"parent": 1}}


def size(value):
    return len(json.dumps(value))


@given(data)
def test_every_string_is_clean(value):
    text = json.dumps(cleaned(value), ensure_ascii=False)
    assert clean(text, len(text)) == text


@given(data)
def test_what_is_clean_stays_as_it_is(value):
    once = cleaned(value)
    assert cleaned(once) == once


def test_each_step_is_shorter_and_the_last_is_short():
    sizes = [size(step) for step in shorter({"targets": [verdict(number) for number in range(300)]})]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 100


def test_what_one_can_do_without_goes_first():
    few, no_facts, names, *_, nothing = shorter({"targets": [verdict(1)]})
    (target,) = few["targets"]
    assert [sentence.partition(" ")[0] for sentence in target["evidence"]] == ["first", "second", "third", "(2"]
    assert target["facts"] == {"parent": 1}
    assert no_facts["targets"][0].keys() == {"id", "grade", "evidence"}
    assert names == {"targets": [{"id": "1@7", "evidence": ["(left out)"]}]}
    assert nothing == {"targets": [], "targets_left_out": 1}


def test_a_path_is_never_shortened():
    path = "/" + "x" * 4000
    assert all(step["path"] == path for step in shorter({"path": path, "name": "y" * 4000}))
    assert all(len(step["name"]) <= 200 for step in shorter({"path": path, "name": "y" * 4000}))


def test_the_data_that_was_given_is_not_changed():
    given_data = {"targets": [verdict(1)]}
    before = json.dumps(given_data)
    list(shorter(given_data))
    assert json.dumps(given_data) == before
