"""Where Sentinel keeps its things: one place that every room asks.

Configuration and state lie where the platform wants them (XDG on Linux, ``~/Library`` on
macOS). The runtime directory holds the lock and the inbox, so agent and command line must
find the same one whatever started them, and nobody else may write there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sentinel import runtime_dir
from sentinel.errors import SentinelError
from sentinel.runtime_dir import APP


@dataclass(frozen=True, slots=True)
class Paths:
    """The three directories, and what lies in them."""

    config: Path
    state: Path
    runtime: Path

    @property
    def config_file(self) -> Path:
        """The user's wishes. Need not exist."""
        return self.config / "sentinel.toml"

    @property
    def journal(self) -> Path:
        """The history; rotated files lie beside it."""
        return self.state / "events.jsonl"

    @property
    def switches(self) -> Path:
        """Who is kept, and whether Sentinel is paused. Need not exist."""
        return self.state / "switches.json"

    @property
    def ledger(self) -> Path:
        """What an agent leaves to the next one."""
        return self.state / "ledger.json"

    @property
    def registry(self) -> Path:
        """Sessions that say of themselves that they are there. Need not exist."""
        return self.state / "registry.db"

    @property
    def session_logs(self) -> Path:
        """What registered sessions may write about themselves, a file each."""
        return self.state / "sessions"

    @property
    def tmux_hooks(self) -> Path:
        """Tmux's hooks as lines of a tmux.conf. They are wanted on every server while it is there."""
        return self.state / "tmux.conf"

    @property
    def crashes(self) -> Path:
        """The agent's last crashes. Need not exist."""
        return self.state / "crashes.json"

    @property
    def last_words(self) -> Path:
        """Where an agent that crashes says why."""
        return self.state / "last-words"

    @property
    def installed(self) -> Path:
        """What `sentinel install` has put where. Need not exist."""
        return self.state / "installed.json"

    @property
    def quarantine(self) -> Path:
        """Where removed files wait, in case somebody wants them back."""
        return self.state / "quarantine"

    @property
    def inbox(self) -> Path:
        """The agent's socket."""
        return self.runtime / runtime_dir.INBOX

    @property
    def hints(self) -> Path:
        """The file that tmux hooks append to."""
        return self.runtime / "hints"

    @property
    def spool(self) -> Path:
        """Where the hooks of coding agents leave their words while no agent runs. Need not exist."""
        return self.runtime / runtime_dir.SPOOL

    @property
    def lock(self) -> Path:
        """Held by the one agent of this user."""
        return self.runtime / "agent.lock"


def find(environ: Mapping[str, str] = os.environ) -> Paths:
    """Say where everything belongs. Changes nothing.

    ``SENTINEL_CONFIG_DIR``, ``SENTINEL_STATE_DIR`` and ``SENTINEL_RUNTIME_DIR`` stand
    above all. Where neither they nor the XDG variables speak, the home directory decides.

    Raises:
        SentinelError: an override is not absolute, or there is no home directory.
    """
    return Paths(
        config=_override(environ, "SENTINEL_CONFIG_DIR") or _home("XDG_CONFIG_HOME", environ),
        state=_override(environ, "SENTINEL_STATE_DIR") or _home("XDG_STATE_HOME", environ),
        runtime=Path(runtime_dir.find(environ)),
    )


def prepare(paths: Paths) -> str:
    """Make the state and runtime directories, or check those that are there.

    Returns:
        Empty, or a sentence when the state directory cannot be made (disk full, read-only
        home). That stops nobody from watching: the journal keeps its records in memory.

    Raises:
        SentinelError: one of them is a symlink or a file, belongs to somebody else or is
            open to others, or the runtime directory cannot be made.
    """
    trouble = _trouble_with(paths.state)
    if no_place := _trouble_with(paths.runtime):
        raise SentinelError(no_place)
    if wrong := refusal(paths):
        raise SentinelError(wrong)
    return trouble


def refusal(paths: Paths) -> str:
    """Why the state or the runtime directory that is there cannot be used; empty when both can. Makes nothing."""
    return _what_is_wrong(paths.state) or _what_is_wrong(paths.runtime)


def _override(environ: Mapping[str, str], variable: str) -> Path | None:
    value = runtime_dir.override(environ, variable)
    return Path(value) if value else None


def _home(variable: str, environ: Mapping[str, str]) -> Path:
    # "All paths set in these environment variables must be absolute. If an implementation
    # encounters a relative path [it] should [...] ignore it" (XDG base directory spec 0.8).
    if os.path.isabs(base := environ.get(variable, "")):
        return Path(base, APP)
    import platformdirs

    ask = platformdirs.user_config_path if variable == "XDG_CONFIG_HOME" else platformdirs.user_state_path
    with suppress(RuntimeError):  # what platformdirs 4.7 raises; before, it answered "~/..."
        if (path := ask(APP)).is_absolute():
            return path
    raise SentinelError("there is no home directory: set HOME")


def make(directory: Path) -> None:
    """Make a directory of ours, and what is missing above it, for nobody else to enter.

    Raises:
        OSError: It cannot be made.
    """
    # Path.mkdir(parents=True) gives parents the umask's mode; the XDG spec wants 0700.
    for missing in reversed([d for d in (directory, *directory.parents) if not os.path.lexists(d)]):
        with suppress(FileExistsError):
            missing.mkdir(0o700)


def _trouble_with(directory: Path) -> str:
    try:
        make(directory)
    except OSError as error:
        return f"cannot make {directory}: {error.strerror}"
    return ""


def _what_is_wrong(directory: Path) -> str:
    """The checks that tmux makes of its own (make_label), and none for the group either."""
    try:
        found = os.lstat(directory)
    except OSError:
        return ""  # it is not there: what is made is ours
    if stat.S_ISLNK(found.st_mode):
        return f"{directory} is a symbolic link; Sentinel wants a directory of its own there"
    if not stat.S_ISDIR(found.st_mode):
        return f"{directory} is not a directory"
    if found.st_uid != os.geteuid():
        return f"{directory} belongs to another user (uid {found.st_uid})"
    if (mode := stat.S_IMODE(found.st_mode)) & 0o077:
        return f"{directory} is open to other users (mode {mode:04o}); make it yours with: chmod 700 {directory}"
    return ""
