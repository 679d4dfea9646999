"""The kill switch: ``sentinel pause`` and ``sentinel resume``."""

from __future__ import annotations

import time
from dataclasses import replace

from sentinel.bus import Bus
from sentinel.core.events import Paused, WentOn
from sentinel.core.switches import Halt, Switches
from sentinel.errors import SentinelError
from sentinel.switches import SwitchBoard

PAUSED = "a person has paused Sentinel"


class Halting:
    """Pauses Sentinel and has it go on, for the agent as well as without one."""

    def __init__(self, bus: Bus, switches: SwitchBoard) -> None:
        self._bus = bus
        self._switches = switches

    def pause(self, until: float | None) -> dict[str, object]:
        """Have nothing ended until then (wall-clock seconds), or until somebody says otherwise.

        Somebody who has said so for good before changes nothing by it: ``already`` says so.

        Raises:
            SentinelError: That is over.
        """
        if until is not None and until <= time.time():
            raise SentinelError("a pause ends in the future")
        before = self._switches.now().pause
        if before is not None and before.until is None and before.why == PAUSED and until is None:
            return {**self.state(), "already": True}
        halt = Halt(time.time(), PAUSED, until)
        self._switches.change(lambda switches: replace(switches, pause=halt))
        self._bus.publish(Paused(until))
        return self.state()

    def resume(self) -> dict[str, object]:
        """Have Sentinel act again; ``was`` says what had held it."""
        was = self._switches.held()
        self._switches.change(Switches.going_on)
        if was:
            self._bus.publish(WentOn(was))
        return {**self.state(), "was": was}

    def state(self) -> dict[str, object]:
        """What ``sentinel status`` shows of the switches."""
        return self._switches.state()
