"""The command that a service runs: this very Sentinel, found again after the next log-in."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import PurePath

from sentinel.errors import SentinelError

_CACHES = {".cache", "Caches"}
"""`uvx` and `pipx run` keep what they run there, and clear it away."""
_PATIENCE = 30.0
"""Seconds for one start of the interpreter."""


def ours(environ: Mapping[str, str] = os.environ, executable: str = sys.executable) -> list[str]:
    """The words that start this Sentinel, whatever put it here: pipx, uv tool, pip or a checkout.

    The interpreter by its absolute path, in the environment in which Sentinel is: that stays
    over an upgrade. ``-P`` keeps a file called sentinel.py in the home directory out of it.

    Raises:
        SentinelError: It would not be found again, and why.
    """
    if not os.path.isabs(executable):
        raise SentinelError("Python cannot tell where it is, so a service could not start it")
    for path in (executable, os.path.realpath(executable), sys.prefix):
        if is_fleeting(path, environ):
            raise SentinelError(
                f"this Sentinel lies in {path}, which may be cleared away at any time; install it first, "
                "with: pipx install session-sentinel"
            )
    words = [executable, "-P", "-m", "sentinel"]
    if why := _why_not(words, environ):
        raise SentinelError(f"a service could not start this Sentinel: {why}")
    return words


def is_fleeting(path: str, environ: Mapping[str, str]) -> bool:
    """Whether what lies there may be cleared away by others."""
    parts = PurePath(path).parts
    if _CACHES & set(parts[:-1]):
        return True
    cleared = ("/tmp", "/var/tmp", "/dev/shm", "/run", tempfile.gettempdir(), environ.get("XDG_CACHE_HOME", ""))  # noqa: S108 - places to refuse
    return any(base and PurePath(path).is_relative_to(base) for base in cleared)


def _why_not(words: list[str], environ: Mapping[str, str]) -> str:
    """Why the command does not start without what this shell has set (PYTHONPATH); empty when it does."""
    bare = {name: environ[name] for name in ("HOME", "PATH") if name in environ}
    try:
        done = subprocess.run(
            [*words, "--version"], env=bare, cwd="/", capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (said[-1] if said else f"it ended with status {done.returncode}")
