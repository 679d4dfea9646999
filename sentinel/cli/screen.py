"""What fits on a terminal: tables whose rows stay on one line, and sentences broken between words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence

_CUT = "…"
_GAP = "  "
_LEAST = 10
"""Columns of a cell that has to give way: what is left still tells one from another."""


def width() -> int:
    """Columns of the terminal that is written to; 0 where it is none, and nothing is shortened."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):  # a file, a pipe, or somebody captures the output
        return 0


def table(rows: Sequence[Sequence[str]], columns: int, yielding: Sequence[int]) -> Iterator[str]:
    """Rows of cells under each other.

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
    for row in rows:
        *cells, last = zip(row, widths, strict=True)
        shown = [_cut(cell, room).ljust(room) for cell, room in cells]
        yield _GAP.join([*shown, _cut(last[0][::-1], last[1])[::-1]]).rstrip()


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + _CUT


def fitted(lines: Iterable[str]) -> Iterator[str]:
    """Each line broken where the terminal is narrower; what follows stands four columns further in."""
    columns = width()
    for line in lines:
        yield broken(line, columns, " " * (len(line) - len(line.lstrip()) + 4))


def broken(line: str, columns: int, indent: str) -> str:
    """A line broken between words; what follows is indented. No word is broken: paths stay what they are."""
    if not columns or len(line) <= columns:
        return line
    import textwrap

    words = line.lstrip()
    pieces = textwrap.wrap(
        words,
        max(columns, 2 * len(indent)),
        initial_indent=line.removesuffix(words),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(pieces)
