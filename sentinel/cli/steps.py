"""The steps of ``sentinel install``: each says what it would do, does it, and takes it back."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sentinel import __version__, instance, paths
from sentinel.core.sentences import count
from sentinel.errors import SentinelError
from sentinel.integrations.known import INTEGRATIONS, integration
from sentinel.integrations.plan import Change, Host, Integration
from sentinel.service import manager
from sentinel.service.footprint import Footprint

_FEW = 2
"""Files that are named one by one."""


class _Files:
    """A step that consists of files of our own. What it left is in the footprint."""

    name = ""

    def __init__(self, footprint: Footprint) -> None:
        self._footprint = footprint

    def _missing(self, files: Mapping[Path, bytes]) -> list[Path]:
        ours = self._footprint.of(self.name)
        return [
            path
            for path, content in files.items()
            if Path(os.path.realpath(path)) not in ours or not _holds(path, content)
        ]

    def _put(self, files: Mapping[Path, bytes]) -> bool:
        """Write them. Whether anything is another one than before."""
        try:
            changed = [self._footprint.put(self.name, path, content) for path, content in files.items()]
        except OSError as error:
            raise SentinelError(f"{error.filename}: cannot be written: {error.strerror}") from error
        return any(changed)

    def _take_out(self) -> None:
        try:
            stays = list(self._footprint.take_out(self.name))
        except OSError as error:
            raise SentinelError(f"{error.filename}: cannot be put back: {error.strerror}") from error
        if stays:
            raise SentinelError("; ".join(stays))

    def _gone(self, host: Host) -> list[str]:
        files = self._footprint.of(self.name)
        more = f", and {len(files) - 1} more" if len(files) > 1 else ""
        return [f"take out {host.show(files[0])}{more}"]


class Service(_Files):
    """The agent, kept running by systemd or launchd."""

    name = "service"

    def install(self, host: Host, words: Sequence[str]) -> Change | None:
        """One file, and the commands that have it taken into account."""
        keeper = manager.find(host.state, host.environ)
        files = {keeper.file: keeper.text(words)}
        missing, state = self._missing(files), keeper.state()
        old = state.running and _is_of_another_version(state.pid)
        if not missing and state.enabled and state.running and not old:
            return None

        def make() -> None:
            changed = self._put(files)
            if sys.platform == "linux":  # systemctl makes a directory for its link
                self._footprint.expect(keeper.file.parent / "default.target.wants")
            keeper.put_up(changed=changed or old)
            _see_that_it_runs(keeper.state())

        lines = [*(f"write {host.show(path)}" for path in missing), *map("run {}".format, keeper.plan())]
        return Change([*lines, *(["start the agent anew: it is of another version"] if old else [])], make)

    def uninstall(self, host: Host) -> Change | None:
        """End it, and have it forgotten."""
        if self.name not in self._footprint.steps:
            return None
        keeper = manager.find(host.state, host.environ)

        def make() -> None:
            keeper.take_down()
            self._take_out()
            keeper.forget()

        return Change(["end the agent, and have it started no more", *self._gone(host)], make)


class Shell(_Files):
    """Completion for the shells that are here, and the manual. Both are found by their place."""

    name = "shell"

    def install(self, host: Host, words: Sequence[str]) -> Change | None:  # noqa: ARG002 - completion asks what is on the PATH
        """Files only."""
        from sentinel.cli import completion, manual

        data = _base(host, "XDG_DATA_HOME", ".local/share")
        places = {
            "bash": data / "bash-completion" / "completions" / "sentinel",
            "zsh": data / "zsh" / "site-functions" / "_sentinel",
            "fish": _base(host, "XDG_CONFIG_HOME", ".config") / "fish" / "completions" / "sentinel.fish",
        }
        here = [shell for shell in places if shutil.which(shell, path=host.environ.get("PATH"))]
        files = {places[shell]: completion.script(shell).encode() for shell in here}
        files |= {data / "man" / f"man{name[-1]}" / name: page.encode() for name, page in manual.pages().items()}
        missing = self._missing(files)
        if not missing:
            return None
        few = missing if len(missing) <= _FEW else missing[:_FEW]
        lines = [f"write {host.show(path)}" for path in few]
        if more := len(missing) - len(few):
            lines.append(f"write {count(more, 'file')} more: completion, and the manual (man sentinel)")
        hints = []
        if "bash" in here and not _bash_looks(host.environ):
            hints.append(f"for bash, install bash-completion, or put this into your .bashrc: source {places['bash']}")
        if "zsh" in here:
            hints.append(f"for zsh, put this before compinit into your .zshrc: fpath=({places['zsh'].parent} $fpath)")
        if shutil.which("man", path=host.environ.get("PATH")) and not _man_looks_in(data / "man", host.environ):
            hints.append(f'for man, put this into your profile: export MANPATH="$MANPATH:{data / "man"}"')
        return Change(lines, lambda: self._put(files), "; ".join(hints))

    def uninstall(self, host: Host) -> Change | None:
        """The same files."""
        if self.name not in self._footprint.steps:
            return None
        return Change(self._gone(host), self._take_out)


NAMES = (Service.name, Shell.name, *INTEGRATIONS)
"""In the order in which they are done; they are taken back in the other one."""


def step(name: str, footprint: Footprint) -> Integration | Service | Shell:
    """The step of this name."""
    match name:
        case Service.name:
            return Service(footprint)
        case Shell.name:
            return Shell(footprint)
    return integration(name)


def _is_of_another_version(pid: int) -> bool:
    """Whether the agent of this pid was started before an upgrade, and would go on as it was until the next log-in."""
    agent = instance.look(paths.find())
    return agent.condition is instance.Condition.RUNNING and agent.pid == pid and agent.version != __version__


def _see_that_it_runs(state: manager.State) -> None:
    if state.failed:
        raise SentinelError(f"it is installed, and fails ({state.failed}): see sentinel service logs")
    agent = instance.look(paths.find())
    if agent.condition is instance.Condition.RUNNING and agent.pid != state.pid:
        raise SentinelError(
            f"it is installed, but another agent runs (pid {agent.pid}): end that, then: sentinel service start"
        )


def _base(host: Host, variable: str, default: str) -> Path:
    """A directory of the XDG base directory specification."""
    value = host.environ.get(variable, "")
    return Path(value) if value.startswith("/") else host.home / default


def _bash_looks(environ: Mapping[str, str]) -> bool:
    """Whether the package bash-completion is there: it alone loads what lies below ``XDG_DATA_HOME``.

    It is among the system's data, or with the bash of another prefix (Homebrew's, Nix's).
    """
    shares = [Path(part) for part in (environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")]
    beside = [Path(part).parent / "share" for part in environ.get("PATH", "").split(":") if part]
    return any((share / "bash-completion" / "bash_completion").exists() for share in (*shares, *beside))


def _man_looks_in(place: Path, environ: Mapping[str, str]) -> bool:
    """Whether man finds pages there: it looks where ``MANPATH`` says, and beside the directories of ``PATH``.

    An empty part of ``MANPATH`` stands for the latter (manpath(1), "search path").
    """
    told = environ.get("MANPATH", "").split(":")
    beside = [Path(part).parent / "share" / "man" for part in environ.get("PATH", "").split(":") if part]
    return str(place) in told or ("" in told and place in beside)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False
