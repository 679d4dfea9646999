from __future__ import annotations

import re
from pathlib import Path

from sentinel.core import events
from sentinel.core.events import RECORDED, Event

ALL = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]


def test_every_event_with_a_type_is_recorded_and_no_other():
    assert set(RECORDED) == {kind for kind in ALL if kind.type}


def test_types_are_of_one_form_and_of_one_event_each():
    types = [kind.type for kind in RECORDED]
    assert len(set(types)) == len(types)
    assert all(re.fullmatch(r"[a-z]+\.[a-z]+", name) for name in types)


def test_every_type_is_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
    assert all(f"`{kind.type}`" in page for kind in RECORDED)
