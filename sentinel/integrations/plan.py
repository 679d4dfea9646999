"""What it means to write Sentinel into another program's configuration, and to take it out again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Host:
    """For whom, and where."""

    home: Path
    state: Path
    """Sentinel's own state directory, which need not exist."""
    environ: Mapping[str, str]

    def show(self, path: Path) -> str:
        """A path as people write it."""
        return f"~/{path.relative_to(self.home)}" if path.is_relative_to(self.home) else str(path)


@dataclass(frozen=True, slots=True)
class Change:
    """What would be done. Nothing is before ``make`` is called."""

    lines: Sequence[str]
    """For people: which file, and what in it."""
    make: Callable[[], object]
    """Does it. Raises SentinelError, with nothing changed."""
    hint: str = ""
    """What is left for the person to do then."""
    brief: Sequence[str] = ()
    """The same, a line a file; empty where ``lines`` are that already."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How an integration stands."""

    installed: bool
    where: str
    trusted: bool | None = None
    """Whether the program will run what is there; None: it does not tell, or nothing is there."""
    why: str = ""
    """Why it is not installed as it should be, or not trusted."""


class Integration(Protocol):
    """One program that Sentinel can be written into."""

    name: str
    starts_us: bool
    """Whether what is written there starts this Sentinel, which must then be found again."""

    def install(self, host: Host, words: Sequence[str]) -> Change | None:
        """What there is to do; None when it is installed as it should be.

        Args:
            host: For whom.
            words: What starts this Sentinel; empty for one that does not.

        Raises:
            SentinelError: It cannot be done, and why.
        """

    def uninstall(self, host: Host) -> Change | None:
        """What there is to do; None when nothing of ours is there.

        Raises:
            SentinelError: It cannot be done, and why.
        """

    def status(self, host: Host) -> Standing:
        """How it stands.

        Raises:
            SentinelError: Nobody can tell, and why.
        """
