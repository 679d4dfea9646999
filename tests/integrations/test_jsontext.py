from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.integrations import jsontext
from sentinel.integrations.jsontext import NotJson

PATH = ("hooks", "SessionStart")
OURS = {"hooks": [{"type": "command", "command": "/opt/sentinel", "args": ["hook"]}]}

FOUR = """{
    "model":   "opus",
    "hooks": {
        "Stop": [ {"matcher": "", "hooks": []} ],
        "SessionStart": [
            { "hooks": [ { "type": "command", "command": "echo \\u00e9 {}[],\\"" } ] }
        ]
    },
    "env": {"A":"b"}
}
"""


def is_ours(value):
    return value == OURS


def test_other_entries_stay_byte_for_byte():
    added = jsontext.append(FOUR, PATH, OURS)
    for line in FOUR.splitlines():
        if line.strip() not in "}]":
            assert line.rstrip(",") in added
    assert json.loads(added)["hooks"]["SessionStart"] == [*json.loads(FOUR)["hooks"]["SessionStart"], OURS]
    assert jsontext.remove(added, PATH, is_ours) == FOUR


@pytest.mark.parametrize(
    "text",
    [
        FOUR,
        "{}\n",
        '{"a": 1}',
        '{"hooks": {}}',
        '{"hooks": {"SessionStart": [1, 2]}}',
        '{\n  "a": 1\n}\n',
        '{\n\t"a": [\n\t\t1\n\t]\n}',
        '{\r\n  "a": 1\r\n}\r\n',
        '  {"hooks" : {"Stop":[ ]}, "z":{}}  ',
    ],
)
def test_what_was_added_can_be_taken_out_again_to_the_byte(text):
    added = jsontext.append(text, PATH, OURS)
    assert json.loads(added)["hooks"]["SessionStart"][-1] == OURS
    taken = jsontext.remove(added, PATH, is_ours)
    if "hooks" in text and '"hooks": {}' not in text:
        assert taken == text
    assert json.loads(taken).get("a") == json.loads(text).get("a")
    assert OURS not in json.loads(taken).get("hooks", {}).get("SessionStart", [])


def test_an_empty_file_becomes_one_that_is_easy_to_read():
    assert jsontext.append("", PATH, "x") == '{\n  "hooks": {\n    "SessionStart": [\n      "x"\n    ]\n  }\n}\n'


def test_a_line_stays_a_line():
    assert "\n" not in jsontext.append('{"a": 1}', PATH, OURS)


def test_of_several_the_unwanted_go_wherever_they_stand():
    text = '{"hooks": {"SessionStart": [0, 1, 2, 3]}}'
    for unwanted, left in [({0}, [1, 2, 3]), ({1, 2}, [0, 3]), ({3}, [0, 1, 2]), ({0, 2}, [1, 3])]:
        assert json.loads(jsontext.remove(text, PATH, unwanted.__contains__))["hooks"]["SessionStart"] == left


def test_what_is_empty_then_goes_too_but_not_what_holds_more():
    assert json.loads(jsontext.remove('{"a": 1, "hooks": {"SessionStart": [1]}}', PATH, bool)) == {"a": 1}
    assert json.loads(jsontext.remove('{"hooks": {"Stop": [], "SessionStart": [1]}}', PATH, bool)) == {
        "hooks": {"Stop": []}
    }


@pytest.mark.parametrize("text", ["", "{}", '{"hooks": {}}', '{"hooks": {"SessionStart": []}}'])
def test_where_nothing_is_unwanted_nothing_changes(text):
    assert jsontext.remove(text, PATH, is_ours) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": }', "line 1"),
        ('{\n"a": 1,\n}', "line 3"),
        ("[]", "the whole is not an object"),
        ('{\n"hooks": []}', "line 2: hooks is not an object"),
        ('{"hooks": {"SessionStart": {}}}', "hooks.SessionStart is not an array"),
        ("[" * 100_000, "nested"),
    ],
)
def test_what_is_of_another_form_is_told_with_its_line(text, why):
    with pytest.raises(NotJson, match=why):
        jsontext.append(text, PATH, OURS)
    with pytest.raises(NotJson, match=why):
        jsontext.remove(text, PATH, is_ours)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(st.text(max_size=6).filter(lambda key: key != "hooks"), VALUES, max_size=4),
    st.dictionaries(st.sampled_from(["Stop", "SessionStart", "SessionEnd"]), st.lists(VALUES, max_size=3)),
    st.sampled_from([None, 1, 2, 4, "\t"]),
    st.booleans(),
)
def test_whatever_the_text_only_what_was_asked_for_changes(others, hooks, indent, ascii_only):
    before = {**others, "hooks": hooks}
    text = json.dumps(before, indent=indent, ensure_ascii=ascii_only)
    added = jsontext.append(text, PATH, OURS)
    assert json.loads(added) == {**others, "hooks": {**hooks, "SessionStart": [*hooks.get("SessionStart", []), OURS]}}
    taken = jsontext.remove(added, PATH, is_ours)
    if hooks.get("SessionStart"):
        assert taken == text
    else:
        left = {key: value for key, value in hooks.items() if key != "SessionStart"}
        assert json.loads(taken) == ({**others, "hooks": left} if left else others)
