"""The buttons of a popup: which it gets, and what a pressed one does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sentinel.bus import Bus
from sentinel.core.buttons import PAUSED_FOR, Button
from sentinel.core.events import FileReturned
from sentinel.core.sanitise import clean
from sentinel.core.tally import MOST_FILES, Tally, place, reasons
from sentinel.handlers.halting import Halting
from sentinel.reaper import returns
from sentinel.reaper.quarantine import moment
from sentinel.reaper.returns import Kept

_TOLD = 5
"""Files of which it is told one by one what became of them."""
_LATELY = 900.0
"""Seconds. What a popup tells of was removed within them; thousands of things may have been before."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The buttons of one popup, and what they are about."""

    session: str = ""
    """Key of the session that it tells of, when it is one."""
    buttons: tuple[Button, ...] = ()
    why: str = ""
    files: tuple[Kept, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a popup says after a button was pressed, and what can be pressed then."""

    title: str
    body: str
    offer: Offer = Offer()


def _without_why(offer: Offer) -> Offer:
    return replace(offer, buttons=tuple(button for button in offer.buttons if button is not Button.WHY))


class Buttons:
    """Does what a person presses.

    Args:
        quarantine: Where removed things lie.
    """

    def __init__(self, bus: Bus, halting: Halting, quarantine: Path) -> None:
        self._bus = bus
        self._halting = halting
        self._quarantine = quarantine
        self._home = os.path.expanduser("~")

    def offer(self, it: Tally, session: str, more: str) -> Offer:
        """What can be pressed on a popup that tells of this; ``more`` is the command that tells more."""
        files = tuple(self._files(it))
        undo = (Button.UNDO,) if files else ()
        return Offer(session, (Button.WHY, Button.PAUSE, *undo), reasons(it, more), files)

    def _files(self, it: Tally) -> Iterator[Kept]:
        """What was removed and can come back, the first to be removed at first."""
        if not 0 < len(it.files) <= MOST_FILES:
            return
        there = returns.kept(self._quarantine, moment(), lately=_LATELY)
        newest = {kept.path: kept for kept in there}
        yield from (newest[path] for path in dict.fromkeys(it.files) if path in newest)

    def press(self, button: Button, offer: Offer) -> Answer:
        """Do it, and say what came of it."""
        match button:
            case Button.WHY:
                return Answer("Sentinel: why", offer.why, _without_why(offer))
            case Button.PAUSE:
                return self._pause()
            case Button.UNDO:
                return self._undo(offer.files)

    def _pause(self) -> Answer:
        """Pause for an hour; a pause that holds longer stays as it is, since a button makes Sentinel do less."""
        until = time.time() + PAUSED_FOR
        before = self._halting.state()
        end = before["held_until"]
        if before["held"] and not (isinstance(end, float) and end < until):
            when = time.strftime(" until %Y-%m-%d %H:%M", time.localtime(end)) if isinstance(end, float) else ""
            return Answer("Sentinel is held already", f"Nothing is ended{when}: {before['held']}.\nsentinel resume")
        trouble = self._halting.pause(until)["switch_trouble"]
        note = f"\nIt holds until the agent ends: {clean(str(trouble))}" if trouble else ""
        when = time.strftime("%H:%M", time.localtime(until))
        return Answer("Sentinel is paused", f"Nothing is ended until {when}.{note}\nsentinel resume")

    def _undo(self, files: tuple[Kept, ...]) -> Answer:
        lines: list[str] = []
        failed = 0
        for kept in reversed(files):  # what was removed last is put back first
            where = place(kept.path, self._home)
            try:
                returns.put_in_place(self._quarantine, kept)
            except returns.CannotReturn as error:
                failed += 1
                lines.insert(0, f"{where} stays in quarantine: {clean(str(error))}")
            else:
                self._bus.publish(FileReturned(kept.path, kept.at))
                lines.append(f"{where} is there again.")
        rest = [f"and {len(lines) - _TOLD} more"] if len(lines) > _TOLD else []
        more = ["sentinel undo --list"] if failed else []
        title = f"Sentinel could not put back {failed} of {len(files)}" if failed else "Sentinel put it back"
        return Answer(title, "\n".join([*lines[:_TOLD], *rest, *more]))
