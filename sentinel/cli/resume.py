"""``sentinel resume``: act again."""

from __future__ import annotations

import click

from sentinel import paths, wire
from sentinel.cli import screen
from sentinel.cli.switching import halting, switch
from sentinel.core.sanitise import clean


@click.command("resume")
def command() -> None:
    """Act again: ends a pause, and closes the breaker that the kill budget opened.

    What was left alone meanwhile stays as it is: sentinel clean shows it, and ends it when you say so.
    """
    answer = switch(paths.find(), wire.Resume(), lambda bus, switches: halting(bus, switches).resume())
    was = clean(str(answer.get("was", "")), 400)
    screen.say(f"Sentinel acts again. It was held until now: {was}." if was else "Nothing was held.")
    if was:
        screen.say("What died meanwhile was only reported. What it left, if anything, is shown by: sentinel clean")
    if answer.get("mode") == "observe":
        screen.say('The configuration says mode = "observe": still nothing is ended.')
