"""How facts are said to a person. One place, so that log, explain and notification agree."""

from __future__ import annotations

import signal

from sentinel.core.facts import Cause, Death


def how_it_died(death: Death) -> str:
    """The predicate for a dead thing: ``was killed by SIGKILL``, ``ended with status 3``."""
    match death.cause:
        case Cause.SIGNALLED:
            return f"was killed by {signal_name(death.signal or 0)}"
        case Cause.EXITED:
            return "ended in good order" if death.code == 0 else f"ended with status {death.code}"
        case Cause.UNTOLD:
            return "ended (the kernel did not tell how)"


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9; ``signal 40`` for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 process``, ``2 processes``: nouns in -s take -es unless ``plural`` is given."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {plural or noun + ('es' if noun.endswith('s') else 's')}"
