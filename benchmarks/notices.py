"""What a notification costs the clean-up that it is about, when the desktop does not answer."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator

from benchmarks.deaths import CHILDREN, Deaths, play
from benchmarks.lab import QUIET, Lab
from benchmarks.table import Figure, percentile, spread

TOLD = QUIET.replace("enabled = false", "enabled = true\ndeadline = 1.5")
_TURNS = 8
"""Each of the two is measured so often, in turns: what else the machine does falls upon both."""
_SETTLE = 50_000
"""Microseconds that a root lives with all its children. This part is about what comes after a
death: a machine that is busy with others may take 20 ms to know the root at all."""
_LEAST = 50
"""Rounds in one turn: together with the first ones, which do not count, 4 s. What is told waits for
2 s for what else there is to tell, so an attempt begins in each turn and hangs to its end."""
_GOAL = 1.05


def notices(lab: Lab, rounds: int) -> Iterator[Figure]:
    """The same deaths without notifications, and with a desktop that takes the call and says nothing."""
    played: dict[str, list[Deaths]] = {"none": [], "hung": []}
    attempts = 0
    turns = max(1, min(_TURNS, rounds // _LEAST))
    with _hung(lab) as address:
        # none, hung, hung, none, ...: what grows slower with the time falls upon both as well
        for what in itertools.islice(itertools.cycle(("none", "hung", "hung", "none")), 2 * turns):
            wishes, environ = (TOLD, {"DBUS_SESSION_BUS_ADDRESS": address}) if what == "hung" else (QUIET, {})
            with lab.agent(wishes, environ=environ) as agent:
                played[what].append(play(lab, max(rounds // turns, 1), floor=False, settle=_SETTLE))
            attempts += agent.count("notification.sent")
    yield _compared(played["none"], played["hung"], attempts)
    yield _missed("a desktop that hangs", played["hung"])
    yield _missed("no notifications", played["none"])


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
    """The ratio is the middle one of the turns': one turn in which the machine did something else moves nothing."""
    spans = [[one.all_gone for deaths in each for one in deaths.watched] for each in (hung, without)]
    slower = percentile([_middle(one) / _middle(other) for one, other in zip(hung, without, strict=True)], 50)
    what = f"root killed -> all {CHILDREN} gone, a desktop that hangs against none"
    return Figure(
        f"{what} ({len(hung)} turns each, {attempts} attempts to tell)",
        f"{spread(spans[0])} ms",
        f"{spread(spans[1])} ms",
        slower,
        f"p50 <= {_GOAL}x",
        slower <= _GOAL and attempts > 0,
    )


def _middle(deaths: Deaths) -> float:
    return percentile([one.all_gone for one in deaths.watched], 50)
