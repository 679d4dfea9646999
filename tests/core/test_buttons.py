"""The buttons of a popup."""

from __future__ import annotations

from sentinel.core.buttons import Button


def test_there_is_none_that_ends_removes_or_resumes_anything():
    assert {button: button.label for button in Button} == {"why": "Why", "pause": "Pause 1 h", "undo": "Undo"}
