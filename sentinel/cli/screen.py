"""What fits on a terminal: tables whose rows stay on one line, and sentences broken between words."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence

import click

_CUT = "…"
_GAP = "  "
_LEAST = 10
"""Columns of a cell that has to give way: what is left still tells one from another."""
_COMMAND = re.compile(r"`[^`]+`|(?<=: )sentinel [^;,]+|\bsentinel [a-z]+")
"""What is to be typed: where it is broken in two, half of it is copied."""
_BOUND = "\u00a0"
"""A space at which no line is broken. None comes from elsewhere: ``clean`` has escaped it."""


def width(*, err: bool = False) -> int:
    """Columns of the terminal that is written to; 0 where it is none, and nothing is shortened."""
    stream = sys.stderr if err else sys.stdout
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):  # a file, a pipe, closed, or somebody captures the output
        return 0


def say(text: str, *, err: bool = False) -> None:
    """Write lines, each of them broken between words where the terminal is narrower."""
    click.echo("\n".join(fitted(text.split("\n"), width(err=err))), err=err)


def table(rows: Sequence[Sequence[str]], columns: int, yielding: Sequence[int]) -> Iterator[str]:
    """Rows of cells under each other; on a terminal too narrow for that, each row by itself, with its heads.

    Args:
        rows: The head and the rest, all of the same length.
        columns: How wide a line may be; 0 for as wide as it wants.
        yielding: Which cells give way when that is too narrow, the first one first. The last
            cell of a row is cut at its beginning: of a path the end says most.
    """
    widths = [max(len(row[position]) for row in rows) for position in range(len(rows[0]))]
    for position in yielding if columns else ():
        too_much = sum(widths) + len(_GAP) * (len(widths) - 1) - columns
        if too_much > 0:
            widths[position] = min(widths[position], max(_LEAST, widths[position] - too_much))
    if 0 < columns < sum(widths) + len(_GAP) * (len(widths) - 1):
        yield from _apart(rows, columns)
        return
    for row in rows:
        *cells, last = zip(row, widths, strict=True)
        shown = [_cut(cell, room).ljust(room) for cell, room in cells]
        yield _GAP.join([*shown, _cut(last[0][::-1], last[1])[::-1]]).rstrip()


def _apart(rows: Sequence[Sequence[str]], columns: int) -> Iterator[str]:
    """Whole cells, each after its head. The empty ones are left out."""
    heads = rows[0]
    for row in rows[1:]:
        cells = [unbroken(f"{head} {cell}") for head, cell in zip(heads, row, strict=True) if cell]
        yield broken(_GAP.join(cells), columns, "    ")


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + _CUT


def fitted(lines: Iterable[str], columns: int | None = None) -> Iterator[str]:
    """Each line broken where the terminal is narrower; what follows stands four columns further in."""
    columns = width() if columns is None else columns
    for line in lines:
        yield broken(line, columns, " " * (len(line) - len(line.lstrip()) + 4))


def broken(line: str, columns: int, indent: str) -> str:
    """A line broken between words; what follows is indented. No word is broken: paths stay what they are.

    Nor is a command that is to be typed, or what ``unbroken`` has bound together.
    """
    if not columns or len(line) <= columns:
        return line.replace(_BOUND, " ")
    import textwrap

    words = _COMMAND.sub(lambda found: unbroken(found[0]), line.lstrip())
    pieces = textwrap.wrap(
        words,
        max(columns, 2 * len(indent)),
        initial_indent=line[: len(line) - len(words)],
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(pieces).replace(_BOUND, " ")


def unbroken(text: str) -> str:
    """The text as one word."""
    return text.replace(" ", _BOUND)
