from __future__ import annotations

import pytest

from sentinel.core.facts import ProcessId
from sentinel.core.sessions import Kind, Session


def named(name, kind=Kind.RUN, pid=7, start=42):
    return Session(kind, name, ProcessId(pid, start))


def test_the_key_is_the_id_and_its_generation():
    assert (named("api").id, named("api").key) == ("api-7", "api-7@42")
    assert named("api").key != named("api", start=43).key


@pytest.mark.parametrize("name", ["a b", "x/../y", "\x1b[31m", "é", "a\nb"])
def test_an_id_is_one_harmless_word(name):
    assert set(named(name).id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-._%ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@pytest.mark.parametrize(("name", "id_"), [("@scope", "scope-7"), ("--help", "help-7"), ("é", "run-7"), ("%1", "%1-7")])
def test_an_id_is_no_option_of_the_command_that_is_told(name, id_):
    assert named(name).id == id_


def test_one_without_a_usable_name_goes_by_its_kind():
    assert named("", Kind.AGENT).id == "agent-7"


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_noun_phrase_with_its_name(kind):
    assert "shop" in named("shop", kind).title
