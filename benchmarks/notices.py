"""What a notification costs the clean-up that it is about, when the desktop does not answer."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from benchmarks.deaths import CHILDREN, Deaths, play
from benchmarks.lab import QUIET, Lab
from benchmarks.table import Figure, percentile, spread

TOLD = QUIET.replace("enabled = false", "enabled = true\ndeadline = 2")
_TURNS = 4
"""Each of the two is measured so often, in turns: what else the machine does falls upon both."""
_GOAL = 1.05


def notices(lab: Lab, rounds: int) -> Iterator[Figure]:
    """The same deaths without notifications, and with a desktop that takes the call and says nothing."""
    with _hung(lab) as address:
        without: list[Deaths] = []
        hung: list[Deaths] = []
        attempts = 0
        for _ in range(_TURNS):
            with lab.agent():
                without.append(play(lab, rounds // _TURNS, floor=False))
            with lab.agent(TOLD, environ={"DBUS_SESSION_BUS_ADDRESS": address}) as agent:
                hung.append(play(lab, rounds // _TURNS, floor=False))
            attempts += agent.count("notification.sent")
    yield _compared(without, hung, attempts)
    yield _missed("a desktop that hangs", hung)
    yield _missed("no notifications", without)


def _missed(what: str, played: list[Deaths]) -> Figure:
    missed, hurt = sum(deaths.missed for deaths in played), sum(deaths.hurt for deaths in played)
    return Figure(
        f"  {what}: missed, and bystanders hurt",
        f"{missed}, {hurt}",
        goal="0, 0",
        met=not missed and not hurt,
        grave=True,
    )


@contextlib.contextmanager
def _hung(lab: Lab) -> Iterator[str]:
    """A bus at which one can call, and nobody ever answers."""
    path = lab.directory / "hung"
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(path))
        path.chmod(0o666)
        bus.listen(64)
        yield f"unix:path={path}"


def _compared(without: list[Deaths], hung: list[Deaths], attempts: int) -> Figure:
    spans = [[one.all_gone for deaths in each for one in deaths.watched] for each in (hung, without)]
    slower = percentile(spans[0], 50) / percentile(spans[1], 50)
    return Figure(
        f"root killed -> all {CHILDREN} gone, a desktop that hangs against none ({attempts} attempts to tell)",
        f"{spread(spans[0])} ms",
        f"{spread(spans[1])} ms",
        slower,
        f"p50 <= {_GOAL}x",
        slower <= _GOAL,
    )
