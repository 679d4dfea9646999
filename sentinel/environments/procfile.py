"""What a Procfile and Overmind's own settings tell of a project.

honcho's parser is used, so that Sentinel, honcho and Overmind see the same processes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BASE, _STEP = 5000, 100
"""What Overmind and honcho count ports from, and by: the first process has 5000, the next 5100."""
_GIVEN = re.compile(r"\$(?:PORT\b|\{PORT\b[^}]*\})")
_WRITTEN = re.compile(r"(?:--port[= ]|\bPORT=|(?<=\s)-p[ =]?)(?P<port>\d{4,5})(?![\w.-])")
_LARGEST = 65535


def parse_procfile(text: str) -> dict[str, str]:
    """Commands by name, in the order of the Procfile.

    Raises:
        ValueError: It has a name twice, or no process at all.
    """
    from honcho.environ import parse_procfile as parse

    try:
        found: dict[str, str] = dict(parse(text).processes)
    except AssertionError as error:
        raise ValueError(str(error)) from error
    if not found:
        raise ValueError("no line of it reads NAME: COMMAND")
    return found


def parse_settings(text: str) -> dict[str, str]:
    """Variables of an ``.env`` file. A line that cannot be read sets nothing."""
    from honcho.environ import parse

    found: dict[str, str] = {}
    for line in text.splitlines():
        try:
            found.update(parse(line.removeprefix("export ")))
        except ValueError:  # a quotation that does not end
            continue
    return found


def base_port(settings: Mapping[str, str]) -> int:
    """The port of the first process."""
    return _number(settings.get("OVERMIND_PORT") or settings.get("PORT"), _BASE)


def ports_of(processes: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, int]:
    """On which port each process may be expected to listen, as far as its command says.

    Those that mention ``$PORT`` have the one that they are given; others the one that is
    written there. A process that says nothing of a port is left out.
    """
    step = _number(settings.get("OVERMIND_PORT_STEP"), _STEP)
    found: dict[str, int] = {}
    for place, (name, command) in enumerate(processes.items()):
        written = _WRITTEN.search(command)
        if written is not None:
            found[name] = int(written["port"])
        elif _GIVEN.search(command):
            found[name] = base_port(settings) + place * step
    return {name: port for name, port in found.items() if 0 < port <= _LARGEST}


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdecimal() and len(text) <= len(str(_LARGEST)) else otherwise
