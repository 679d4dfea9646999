"""What the verbs have in common that switch something: with the agent, or in its file without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sentinel import client, paths, wire
from sentinel.cli import screen
from sentinel.clocks import day_and_time
from sentinel.core.sanitise import clean
from sentinel.errors import NotRunning, SentinelError
from sentinel.switches import SwitchBoard

if TYPE_CHECKING:
    from sentinel.bus import Bus
    from sentinel.handlers.halting import Halting

Data = dict[str, object]


def switches_of(where: paths.Paths) -> SwitchBoard:
    """The switches of this user, as the file has them."""
    from sentinel.observe import processes

    return SwitchBoard(where.switches, processes.boot_id())


def switch(where: paths.Paths, request: wire.Request, alone: Callable[[Bus, SwitchBoard], Data]) -> Data:
    """Have the agent switch something; where none answers, do it here: the agent looks at the file.

    Raises:
        SentinelError: It was refused, or could not be written and nobody is there to remember it.
    """
    try:
        answer = client.ask(where.inbox, request)
    except NotRunning:
        return _here(where, alone)
    if not isinstance(answer, dict):
        raise SentinelError("the agent's answer cannot be read")
    if trouble := answer.get("switch_trouble"):
        screen.say(f"sentinel: it holds until the agent ends: {clean(str(trouble), 400)}", err=True)
    return answer


def _here(where: paths.Paths, alone: Callable[[Bus, SwitchBoard], Data]) -> Data:
    from sentinel.bus import Bus
    from sentinel.journal import Journal
    from sentinel.observe import processes

    if trouble := paths.prepare(where):
        raise SentinelError(trouble)
    switches = switches_of(where)
    answer = alone(Bus(Journal(where.journal, processes.boot_id()).record), switches)
    if switches.trouble:
        raise SentinelError(switches.trouble)
    return answer


def halting(bus: Bus, switches: SwitchBoard) -> Halting:
    """The kill switch, where no agent is."""
    from sentinel.handlers.halting import Halting

    return Halting(bus, switches)


def held(state: Data) -> list[str]:
    """The line that says why nothing is ended, if that is so."""
    if not (why := state.get("held")):
        return []
    return [f"Nothing is ended: {clean(str(why), 400)}{_until(state.get('held_until'))}. Go on with: sentinel resume"]


def _until(when: object) -> str:
    return f" until {day_and_time(when)}" if isinstance(when, float) else ""
