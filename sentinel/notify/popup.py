"""A worker process and what it says: until its popup is there, and until a button of it is pressed.

What it says is read as the word of a stranger: so much and no more, and of a button only what
is on the popup. While nobody waits for a button there is nothing of this: no descriptor, no
process. While somebody does there is one of each here, and the worker sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import msgspec

from sentinel.core.buttons import Button

SAID_LIMIT = 4096
"""Bytes that a worker may say in all."""
FAREWELL = 0.3
"""Seconds in which one that is not wanted any more takes its buttons away."""
REAPING = 1.0
"""Seconds that a killed worker gets to be gone; only one that sleeps in the kernel needs them."""

Heed = Callable[[Button], object]


class Word(msgspec.Struct):
    """A line of a worker's: how it went about it, or which button was pressed."""

    by: str = ""
    id: int = 0
    waits: bool = False
    pressed: str = ""


class Popup:
    """One popup and its worker.

    Args:
        worker: It is ours to end.
        ours: Our end of the socket that it speaks into. It is closed with the popup.
        buttons: What it may say that was pressed.
    """

    def __init__(self, worker: asyncio.subprocess.Process, ours: socket.socket, buttons: tuple[Button, ...]) -> None:
        self._worker = worker
        self._ours = ours
        self._buttons = buttons
        self._room = SAID_LIMIT
        self._rest = b""
        self._heed: Heed | None = None
        self._pressed: Button | None = None
        self._waits: asyncio.Event | None = None
        self.taken = Word()
        """How the worker went about it."""
        self.complaint: list[bytes] = []
        """What it, or what it became, said besides."""
        ours.setblocking(False)  # noqa: FBT003 - a function of the C library's, without names

    async def shown(self) -> int | None:
        """Wait until the worker has ended, and return its status; None when it waits for a button, or did so."""
        if not self._buttons:
            await self._worker.wait()
        else:
            await self._ended_or_waits()
        self._hear()
        if self.taken.waits:
            return None
        if self._rest:
            self.complaint.append(self._rest)
        return self._worker.returncode

    async def _ended_or_waits(self) -> None:
        loop = asyncio.get_running_loop()
        self._waits = waits = asyncio.Event()
        # That the socket is closed would tell nothing: what the worker has started may hold it open.
        either = [loop.create_task(self._worker.wait()), loop.create_task(waits.wait())]
        loop.add_reader(self._ours, self._hear)
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(self._ours)
            for task in either:
                task.cancel()
            self._waits = None

    def listen(self, heed: Heed) -> None:
        """Have ``heed`` called when a button is pressed, once. With that, or when it is closed, the popup is over."""
        if self._ours.fileno() < 0:
            return
        self._heed = heed
        asyncio.get_running_loop().add_reader(self._ours, self._hear)
        self._answer()

    async def close(self, *, at_once: bool = False) -> None:
        """Wait for no button any more, and leave no worker and no zombie.

        Args:
            at_once: No buttons are to be taken away: another popup takes their place, or there are none.
        """
        if at_once:
            self._kill()  # before it sees that it is not wanted any more
        self._let_go()
        if await self._is_gone_within(FAREWELL):
            return
        self._kill()
        await self._is_gone_within(REAPING)

    def _kill(self) -> None:
        if self._worker.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._worker.kill()

    async def _is_gone_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._worker.wait()
        return self._worker.returncode is not None

    # -- what it says ------------------------------------------------------------------

    def _hear(self) -> None:
        for line in self._lines():
            try:
                word = msgspec.json.decode(line, type=Word)
            except msgspec.DecodeError:
                self.complaint.append(line)
                continue
            if word.by:
                self.taken = word
            elif self._pressed is None:
                self._pressed = next((button for button in self._buttons if button == word.pressed), None)
        if self._waits is not None and self.taken.waits:
            self._waits.set()
        self._answer()

    def _lines(self) -> Iterator[bytes]:
        """The whole lines that are there."""
        while self._room > 0:
            try:
                part = self._ours.recv(self._room)
            except BlockingIOError:
                return
            except ConnectionError:
                part = b""
            self._room = self._room - len(part) if part else 0  # without a word it has closed its end
            *lines, self._rest = (self._rest + part).split(b"\n")
            yield from filter(None, lines)
        asyncio.get_running_loop().remove_reader(self._ours)

    def _answer(self) -> None:
        """Pass on what was pressed, once somebody listens."""
        if self._heed is None or (self._pressed is None and self._room > 0):
            return
        heed, self._heed = self._heed, None
        self._let_go()
        if self._pressed is not None:
            heed(self._pressed)

    def _let_go(self) -> None:
        """The worker sees its stdin closed, and ends by itself."""
        self._heed = None
        if self._ours.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._ours)
            self._ours.close()
