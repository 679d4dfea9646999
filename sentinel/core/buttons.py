"""The buttons of a popup. A popup is pressed by accident, so each makes Sentinel do less, explain, or give back.

None of them ends, removes or resumes anything.
"""

from __future__ import annotations

from enum import StrEnum

PAUSED_FOR = 3600.0
"""Seconds for which nothing is ended once ``PAUSE`` was pressed."""


class Button(StrEnum):
    """What can be pressed; the value is its name in the journal and on the bus."""

    WHY = "why"
    PAUSE = "pause"
    UNDO = "undo"

    @property
    def label(self) -> str:
        """What a person reads on it."""
        return {Button.WHY: "Why", Button.PAUSE: f"Pause {PAUSED_FOR / 3600:g} h", Button.UNDO: "Undo"}[self]
