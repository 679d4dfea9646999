"""What a verdict says beyond its fields."""

from __future__ import annotations

from sentinel.core.facts import ProcessId
from sentinel.core.verdicts import Spared


def test_without_whom_one_would_not_be_spared():
    who = ProcessId(7, 8)
    assert Spared(who, "nohup", "it is").origin == "nohup"
    assert Spared(who, "sheltered", "it hangs under one", under="unknown").origin == "unknown"
