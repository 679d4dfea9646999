"""What the agent says to whoever sits before its terminal: what happens, and nothing twice."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace

from sentinel.cli import screen
from sentinel.core.events import Event, Notified, SessionClosed, SessionJudged
from sentinel.handlers.enquiries import Condition


class Live:
    """Tells events as they come. The journal has all of them; here some go without saying.

    Args:
        write: Takes one line.
    """

    def __init__(self, write: Callable[[str], object] = screen.say) -> None:
        self._write = write
        self._why_not_told = ""
        self._left_nothing: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Tell an event, unless it says nothing new."""
        from sentinel.narrate import sentence
        from sentinel.records import draft

        if not self._is_news(event):
            return
        if isinstance(event, Notified) and not event.shown:
            event = replace(event, text="")  # the news itself was told here a moment ago
        record = json.loads(draft(event, 0).line(""))
        with contextlib.suppress(OSError):  # the terminal was closed: the journal has it
            self._write(f"{time.strftime('%H:%M:%S')}  {sentence(record)}")

    def _is_news(self, event: Event) -> bool:
        match event:
            case Notified(shown=False, why=why):
                known, self._why_not_told = self._why_not_told, why
                return why != known
            case Notified():
                self._why_not_told = ""
            case SessionJudged(session=session, processes=()):
                self._left_nothing.add(session.key)
                return False
            case SessionClosed(session=session) if session.key in self._left_nothing:
                self._left_nothing.discard(session.key)
                return False
        return True


def greeting(condition: Condition, *, observes: bool, told: bool) -> str:
    """What is said once everything is watched.

    Args:
        condition: What the agent is.
        observes: It only observes.
        told: The line on its start is there already.
    """
    source = f"{condition.source}, {condition.why_not_better}" if condition.why_not_better else condition.source
    said = [] if told else [f"Sentinel {condition.version} watches ({source})."]
    if observes:
        said.append('It only observes: nothing is ended (mode = "observe").')
    return " ".join([*said, "Ctrl-C ends it."])
