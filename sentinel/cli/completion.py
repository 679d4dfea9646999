"""Completion scripts for bash, zsh and fish: click's own, which ask ``sentinel`` itself."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_ASKED_BY = "_SENTINEL_COMPLETE"
"""The variable by which the script asks; click's name for a program called sentinel."""

_SPLIT, _SPLIT_ONCE = "string split ", "string split -m 1 "


def script(shell: str) -> str:
    """The script for ``bash``, ``zsh`` or ``fish``.

    Raises:
        ValueError: click knows no such shell.
    """
    complete = get_completion_class(shell)
    if complete is None:
        raise ValueError(f"no completion for {shell}")
    asks = complete(click.Group("sentinel"), {}, "sentinel", _ASKED_BY)
    # Not source(): for bash that runs one, to complain of versions before 4.4.
    template = asks.source_template
    if shell == "fish":  # click's cuts the help at its first comma, and whatever else is a list
        template = template.replace(_SPLIT, _SPLIT_ONCE)
    return template % asks.source_vars()
