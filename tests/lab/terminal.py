"""A real terminal on the stage: what a person types into it, reads from it, and its closing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios

from tests.lab.stage import lab_user, until

_SIZE = (24, 120)
"""Rows and columns. tmux refuses to work in a terminal of no size."""


class Terminal:
    """A terminal with a program in it, which leads the terminal's session.

    Args:
        stage: Whose user the program runs as.
        words: The program and its arguments.
    """

    def __init__(self, stage, *words):
        self.fd, other = os.openpty()
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("4H", *_SIZE, 0, 0))
        os.fchown(other, *lab_user())
        os.set_blocking(self.fd, False)
        self._seen = b""
        self._open = True
        try:
            # Not in a session of its own yet: setsid(1) would fork, and the pid would be another's.
            self.process = stage.start(
                "setsid", "--ctty", *words, stdin=other, stdout=other, stderr=other, start_new_session=False
            )
        finally:
            os.close(other)

    @property
    def pid(self):
        return self.process.pid

    def type(self, text):
        """Type it. A control character is what the terminal makes of it."""
        os.write(self.fd, text.encode())

    def screen(self):
        """All that was written to it so far."""
        with contextlib.suppress(BlockingIOError, OSError):  # EIO: nobody has it open any more
            while more := os.read(self.fd, 65536):
                self._seen += more
        return self._seen.decode(errors="replace")

    def shows(self, text):
        """Wait until it shows this."""
        try:
            until(lambda: text in self.screen(), f"{text!r} on the terminal")
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows {self.screen()!r}") from None

    def close(self):
        """Hang up, as the closed window of a terminal emulator does."""
        if self._open:
            self._open = False
            os.close(self.fd)
