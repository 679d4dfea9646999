"""Whether there is a service, found out without asking its manager: what a hint tells a person to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def is_installed(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the file of the service lies in its place. A manager that answers is another question."""
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        from sentinel.service import launchd

        return os.path.exists(launchd.place(home))
    from sentinel.service import systemd

    return os.path.exists(systemd.place(environ, home))


def how_to_start() -> str:
    """The command that starts the agent in the way in which it is kept here."""
    return "sentinel service start" if is_installed() else "sentinel agent"
