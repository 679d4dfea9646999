"""``sentinel pause``: the kill switch."""

from __future__ import annotations

import time

import click

from sentinel import paths, wire
from sentinel.cli import screen
from sentinel.cli.switching import halting, switch
from sentinel.clocks import day_and_time
from sentinel.core.sanitise import clean


@click.command("pause")
@click.option("--for", "span", metavar="TIME", help="Go on by itself after so long: 30m, 1h, 2d.")
def command(*, span: str | None) -> None:
    """End nothing and remove nothing for now: what dies is only reported.

    It holds at once, also for what was sent SIGTERM and would be killed next, and over a
    restart of the agent or of the machine, until `sentinel resume`.
    """
    until = None if span is None else _end_of(span)
    answer = switch(paths.find(), wire.Pause(until), lambda bus, switches: halting(bus, switches).pause(until))
    ends = answer.get("held_until")
    how_long = f"until {day_and_time(ends)}" if isinstance(ends, float) else "until `sentinel resume`"
    already = " already" if answer.get("already") else ""
    screen.say(f"Paused{already} {how_long}: nothing is ended.")
    if until is not None and not isinstance(ends, float):
        screen.say(f"It has no end of its own: {clean(str(answer.get('held', '')), 400)}.")


def _end_of(span: str) -> float:
    from sentinel.cli import times

    now = time.time()
    until = times.after(span, now)
    if until <= now:
        raise click.UsageError("a pause that is over before it begins is none")
    return until
