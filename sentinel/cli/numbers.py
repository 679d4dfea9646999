"""Numbers as people type them: what is none is refused by the name of what was asked for."""

from __future__ import annotations

import click

_LAST = 2**31 - 1


class Number(click.IntRange):
    """A whole number."""

    name = "number"


class Pid(click.IntRange):
    """The number of a process that is not the first one."""

    name = "process number"

    def __init__(self) -> None:
        super().__init__(2, _LAST)
