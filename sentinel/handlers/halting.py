"""The kill switch: ``sentinel pause`` and ``sentinel resume``."""

from __future__ import annotations

import time
from dataclasses import replace

from sentinel.bus import Bus
from sentinel.core.events import AgentStarted, Paused, PauseRanOut, WentOn, Woke
from sentinel.core.switches import Halt, Switches
from sentinel.errors import SentinelError
from sentinel.handlers.later import Later
from sentinel.switches import SwitchBoard

PAUSED = "a person has paused Sentinel"


class Halting:
    """Pauses Sentinel and has it go on, for the agent as well as without one.

    Args:
        later: What tells when a pause runs out: each arms one timer. Without, whoever asks next tells it.
    """

    def __init__(self, bus: Bus, switches: SwitchBoard, later: Later | None = None) -> None:
        self._bus = bus
        self._switches = switches
        self._later = later
        bus.subscribe(Paused, self._paused)
        bus.subscribe(AgentStarted, lambda _: self._wait())
        bus.subscribe(Woke, lambda _: self._wait())  # the timer stood still while the machine slept

    def pause(self, until: float | None) -> dict[str, object]:
        """Have nothing ended until then (wall-clock seconds), or until somebody says otherwise.

        Somebody who has said so for good before changes nothing by it: ``already`` says so. What
        holds because nobody can tell what was to be kept has no end that a clock brings.

        Raises:
            SentinelError: That is over.
        """
        if until is not None and until <= time.time():
            raise SentinelError("a pause ends in the future")
        self._run_out()
        before = self._switches.now().pause
        if before is not None and before.until is None and before.why == PAUSED and until is None:
            return {**self.state(), "already": True}
        why = PAUSED
        if before is not None and before.until is None and before.why != PAUSED:
            why, until = before.why, None
        halt = Halt.begin(self._switches.moment(), why, until)
        self._switches.change(lambda switches: replace(switches, pause=halt))
        self._bus.publish(Paused(until))
        return self.state()

    def resume(self) -> dict[str, object]:
        """Have Sentinel act again; ``was`` says what had held it."""
        self._run_out()
        was = self._switches.held()
        self._switches.change(Switches.going_on)
        if was:
            self._bus.publish(WentOn(was))
        return {**self.state(), "was": was}

    def state(self) -> dict[str, object]:
        """What ``sentinel status`` shows of the switches."""
        return self._switches.state()

    # -- the end of a pause ----------------------------------------------------------

    def _paused(self, event: Paused) -> None:
        """Note with the pause which record tells of it: its end is told as what followed from that."""
        if event.until is None:
            return
        cause = self._bus.current
        self._switches.change(lambda now: replace(now, pause=replace(now.pause, event=cause) if now.pause else None))
        self._wait()

    def _wait(self) -> None:
        """Have the end of the pause told when it comes, or now if it has come."""
        pause = self._switches.now().pause
        if self._later is None or pause is None or pause.until is None or self._run_out():
            return
        self._later(pause.left(self._switches.moment()), self._look, pause)

    def _look(self, pause: Halt) -> None:
        if pause == self._switches.now().pause:  # another one has a timer of its own
            self._wait()

    def _run_out(self) -> bool:
        """Take a pause that is over out of the switches, and tell it. Whether there was one."""
        pause, now = self._switches.now().pause, self._switches.moment()
        if pause is None or (left := pause.left(now)) > 0:
            return False
        after = self._switches.change(
            lambda switches: replace(switches, pause=None) if switches.pause == pause else switches
        )
        self._bus.publish(PauseRanOut(now.wall + left, after.held(now)), pause.event)
        return True
