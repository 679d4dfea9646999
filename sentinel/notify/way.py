"""What is sent, what came of it, and what a way to a person is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from sentinel.core.buttons import Button
from sentinel.notify.popup import Popup


@dataclass(frozen=True, slots=True)
class Message:
    """What a person is to read. Each way makes it harmless for where it is shown."""

    title: str
    body: str
    """Lines."""
    urgent: bool = False
    """It wants an answer, and stays until it is seen, where the desktop has such a thing."""
    replaces: bool = False
    """It says all that the one before it said, which may go."""
    short: str = ""
    """The same for where there is one line of 80 columns; the title and the body when it is empty."""
    buttons: tuple[Button, ...] = ()
    """What can be pressed on it, where the desktop has such a thing."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of a message. A desktop on "do not disturb" takes it too."""

    shown: bool
    why: str = ""
    """Why it was not shown."""
    by: str = ""
    """What showed it: ``desktop (D-Bus)``, ``tmux``."""
    mark: int = 0
    """What the desktop calls it, when it can be replaced; else 0."""
    popup: Popup | None = field(default=None, compare=False)
    """It has its buttons, and this hears of them; who asked for them is to ``listen``."""

    def __str__(self) -> str:
        return f"shown by {self.by}" if self.shown else f"not delivered: {self.why}"


class Way(Protocol):
    """A way to a person."""

    @property
    def name(self) -> str:
        """One word, as in the configuration."""

    def obstacle(self) -> str:
        """Why it leads nowhere now, found out without asking anybody; empty when it is worth a try."""

    async def show(self, message: Message) -> Delivery:
        """Try it, within a deadline. Whatever it raises is taken for a failure."""
