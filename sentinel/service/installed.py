"""Whether there is a service, found out without asking its manager: what a hint tells a person to do."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def is_installed() -> bool:
    """Whether the file of the service lies in its place. A manager that answers is another question."""
    home = Path(os.path.expanduser("~"))
    # Not Path.exists, which raises where the home is somebody else's and closed to us.
    if sys.platform == "darwin":
        from sentinel.service import launchd

        return os.path.exists(launchd.place(home))
    from sentinel.service import systemd

    return os.path.exists(systemd.place(os.environ, home))


def how_to_start() -> str:
    """The command that starts the agent in the way in which it is kept here."""
    return "sentinel service start" if is_installed() else "sentinel agent"


def how_to_start_anew() -> str:
    """What a person does about an agent that runs and should be another one."""
    return "sentinel service restart" if is_installed() else "end the agent, then: sentinel agent"
