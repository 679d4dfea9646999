import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.sanitise import clean

BANNED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
anything = st.text(st.characters(codec=None, exclude_categories=())) | st.binary()
limits = st.integers(1, 60)


@given(anything, limits)
def test_what_comes_out_is_visible_encodable_and_short(text, limit):
    shown = clean(text, limit)
    assert not {unicodedata.category(c) for c in shown} & BANNED
    assert shown.encode().decode() == shown
    assert len(shown) <= limit


@given(anything, limits)
def test_cleaning_twice_is_cleaning_once(text, limit):
    once = clean(text, limit)
    assert clean(once, limit) == once


@given(st.text())
def test_bytes_and_their_text_are_shown_alike(text):
    raw = text.encode()
    assert clean(raw, 30) == clean(text, 30)


@given(st.binary(max_size=40))
def test_bytes_that_the_file_system_encoding_hid_are_shown_as_bytes(raw):
    assert clean(raw) == clean(raw.decode("utf-8", "surrogateescape"))


def test_each_character_of_the_banned_categories_is_escaped():
    banned = (chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in BANNED)
    assert [c for c in banned if not clean(f"a{c}b").startswith("a\\")] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("node", "node"),
        ("", ""),
        ("tmux: server", "tmux: server"),
        ("Größe 文件 🦊", "Größe 文件 🦊"),
        ("C:\\x", "C:\\x"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\x00", "a\\x0ab\\x09c\\x00"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        ("exe\u202etxt", "exe\\u202etxt"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\U000e0041", "\\U000e0041"),
        ("\udcff\ud800", "\\xff\\ud800"),
        (b"caf\xe9", "caf\\xe9"),
        (b"\xc3\xa9", "é"),
    ],
)
def test_samples(text, shown):
    assert clean(text) == shown


def test_a_long_text_is_cut_and_says_so():
    assert clean("x" * 201) == "x" * 199 + "…"
    assert clean("x" * 200) == "x" * 200
    assert clean(("é" * 300).encode()) == "é" * 199 + "…"


def test_no_escape_is_cut_through():
    assert clean("\x1b" * 10, 10) == "\\x1b\\x1b…"
    assert clean("\x1b", 3) == "…"
