"""The agent's own terminal, where that can raise a notification: OSC 9 or OSC 777.

No terminal answers to either, and one that does not know them shows nothing. So only those
are asked that are known to know one; which is told by what they put into the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from sentinel.notify import texts
from sentinel.notify.way import Delivery, Message

_OSC9 = {"iTerm.app", "WezTerm", "ghostty"}
"""TERM_PROGRAM of those that take ``OSC 9 ; text``."""
_OSC9_TERMS = ("xterm-kitty", "xterm-ghostty")
_OSC777_TERMS = ("foot", "rxvt-unicode")
"""TERM of those that take ``OSC 777 ; notify ; title ; body``."""
_TERMINAL = "/dev/tty"


class Terminal:
    """The terminal that the agent runs in, in the foreground of it.

    Args:
        environ: Says which terminal it is.
        path: Of the terminal.
    """

    name = "terminal"

    def __init__(self, environ: Mapping[str, str] = os.environ, path: str = _TERMINAL) -> None:
        self._environ = environ
        self._path = path

    def obstacle(self) -> str:
        """Whether there is no such terminal."""
        if self._environ.get("TMUX"):
            return "the terminal is tmux's"
        if not _code(self._environ):
            return "this is no terminal that is known to show notifications"
        return ""

    async def show(self, message: Message) -> Delivery:
        """Write it to the terminal, which never tells what it made of it."""
        code = _code(self._environ)
        try:
            # Not to be waited for: a terminal that was stopped (Ctrl-S) takes nothing.
            fd = os.open(self._path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return Delivery(shown=False, why=f"Sentinel has no terminal: {error.strerror}")
        try:
            if os.tcgetpgrp(fd) != os.getpgrp():  # writing could stop us (SIGTTOU)
                return Delivery(shown=False, why="Sentinel runs in the background of its terminal")
            os.write(fd, sequence(code, message))
        except OSError as error:
            return Delivery(shown=False, why=f"the terminal takes nothing: {error.strerror}")
        finally:
            os.close(fd)
        return Delivery(shown=True, by=f"terminal (OSC {code})")


def sequence(code: int, message: Message) -> bytes:
    """What raises the notification. Our text has no control characters, so nothing in it ends the sequence."""
    title = texts.title(message.title).replace(";", ",")
    body = texts.body(message.body).replace("\n", "  ")
    said = f"777;notify;{title};{body}" if code == 777 else f"9;{title}: {body}"  # noqa: PLR2004 - the OSC's own number
    return f"\x1b]{said}\x07".encode()


def _code(environ: Mapping[str, str]) -> int:
    """Which of the two the terminal knows; 0 for neither."""
    term = environ.get("TERM", "")
    if environ.get("TERM_PROGRAM") in _OSC9 or term.startswith(_OSC9_TERMS):
        return 9
    return 777 if term.startswith(_OSC777_TERMS) else 0
