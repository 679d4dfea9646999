"""Where lock, inbox and spool are: found with nothing but ``os``, for the hook has no time to import more."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping

from sentinel.errors import SentinelError

APP = "sentinel"
INBOX = "inbox.sock"
SPOOL = "spool"


def find(environ: Mapping[str, str] = os.environ) -> str:
    """The runtime directory of this user, which need not exist.

    Raises:
        SentinelError: ``SENTINEL_RUNTIME_DIR`` is not absolute.
    """
    if value := override(environ, "SENTINEL_RUNTIME_DIR"):
        return value
    uid = os.geteuid()
    # cron, su and some ssh set-ups lose XDG_RUNTIME_DIR while logind's directory is there;
    # without the second try their `sentinel` would look for the agent in another place.
    bases = (
        (environ.get("TMPDIR"),) if sys.platform == "darwin" else (environ.get("XDG_RUNTIME_DIR"), f"/run/user/{uid}")
    )
    for base in bases:
        if base and _is_private(base, uid):
            return os.path.join(base, APP)
    return f"/tmp/{APP}-{uid}"  # noqa: S108 - a fixed name on purpose; whoever uses it checks whose it is


def override(environ: Mapping[str, str], variable: str) -> str:
    """The directory that a variable names; empty when it names none.

    Raises:
        SentinelError: It is not absolute.
    """
    value = environ.get(variable, "")
    if value and not os.path.isabs(value):
        # Taken from the current directory it would mean another place to each caller.
        raise SentinelError(f'{variable} must be an absolute path, not "{value}"')
    return value


def _is_private(base: str, uid: int) -> bool:
    """Whether nobody but the user can put things there."""
    try:
        found = os.stat(base)
    except (OSError, ValueError):
        return False
    mine = found.st_uid == uid and not stat.S_IMODE(found.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
    return os.path.isabs(base) and stat.S_ISDIR(found.st_mode) and mine
