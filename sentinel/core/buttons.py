"""The buttons of a popup. A popup is pressed by accident, so each makes Sentinel do less, explain, or give back.

None of them ends, removes or resumes anything.
"""

from __future__ import annotations

from enum import StrEnum

PAUSE = 3600.0
"""Seconds for which the second one has nothing ended."""


class Button(StrEnum):
    """What can be pressed; the value is its name in the journal and on the bus."""

    WHY = "why"
    PAUSE = "pause"
    UNDO = "undo"

    @property
    def label(self) -> str:
        """What a person reads on it."""
        return {Button.WHY: "Why", Button.PAUSE: "Pause 1 h", Button.UNDO: "Undo"}[self]
