from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.notify import texts

NASTY = st.text(
    alphabet=st.one_of(st.characters(), st.sampled_from("-<>&\\\"'\n\x1b\u202e\u2028\ud800")), max_size=1000
)


def harmless(text: str) -> bool:
    return not any(c in "<>&" or unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text)


@given(NASTY)
def test_a_title_is_one_short_harmless_line_with_our_name(text):
    title = texts.title(text)
    assert title.startswith("Sentinel")
    assert len(title) <= texts.TITLE_LIMIT
    assert harmless(title)


@given(NASTY)
def test_a_body_is_bounded_harmless_and_never_an_option(text):
    body = texts.body(text)
    lines = body.split("\n")
    assert len(body) <= texts.BODY_LIMIT
    assert len(lines) <= texts.LINES_LIMIT
    assert all(harmless(line) for line in lines)
    assert not body.startswith("-")


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("", "Sentinel"),
        ("Sentinel", "Sentinel"),
        ("Sentinel: 3 orphans ended", "Sentinel: 3 orphans ended"),
        ("--hint=int:x:1", "Sentinel: --hint=int:x:1"),
    ],
)
def test_titles(given_text, shown):
    assert texts.title(given_text) == shown


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("claude was killed by SIGKILL.\nEnded 2 processes.", "claude was killed by SIGKILL.\nEnded 2 processes."),
        ("-x", " -x"),
        ("<img src=x> & co", "\u2039img src=x\u203a + co"),
        ("a\x1b[31m", r"a\x1b[31m"),
        ("", ""),
    ],
)
def test_bodies(given_text, shown):
    assert texts.body(given_text) == shown


def test_what_is_cut_says_so():
    assert texts.body("x" * 500) == "x" * 399 + "…"
    assert texts.body("a\n" * 20) == "a\n" * 7 + "…"
