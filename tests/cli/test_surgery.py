"""What a person sees while and after something is ended by hand."""

from __future__ import annotations

import io
import sys

import pytest

from sentinel.cli.surgery import UNDONE, _bar, summary
from sentinel.core.actions import Outcome, Result


class Screen(io.StringIO):
    def __init__(self, *, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


@pytest.mark.parametrize(("terminal", "number", "shown"), [(True, 4, True), (True, 0, False), (False, 4, False)])
def test_a_bar_moves_where_a_person_sees_it_and_nowhere_else(monkeypatch, terminal, number, shown):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Screen(terminal=terminal))
    with _bar(number) as progress:
        progress(number)
    assert ("100%" in sys.stderr.getvalue()) is shown
    assert bool(sys.stderr.getvalue()) is shown


def test_the_summary_counts_each_result_and_names_what_stays_with_its_reason():
    outcomes = [Outcome(f"{pid}@1", result, f"because {result}", "node") for pid, result in enumerate(Result, 100)]
    first, *stays = summary([*outcomes, Outcome("/srv/x.sock", Result.REFUSED, "it is in use")])
    assert first.startswith(f"{len(outcomes) + 1} things: 1 ended, 1 killed, 1 gone, 1 survived, 2 refused")
    assert len(stays) == len(UNDONE) + 1
    assert stays[-1] == "  /srv/x.sock: refused, it is in use"
    for number, result in enumerate(Result, 100):
        line = f"  pid {number} (node): {result}, because {result}"
        assert (line in stays) is (result in UNDONE)
