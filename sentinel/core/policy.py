"""The person's wishes, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from sentinel.core.sessions import Kind


class Mode(StrEnum):
    """Whether Sentinel may do anything at all."""

    ACT = "act"
    OBSERVE = "observe"


class Survivors(StrEnum):
    """What happens to the processes that a dead session leaves."""

    END = "end"
    REPORT = "report"


class Daemons(StrEnum):
    """What happens to those of them that were daemonised on purpose."""

    SPARE = "spare"
    END = "end"


@dataclass(frozen=True, slots=True)
class KindPolicy:
    """Wishes for one kind of session."""

    survivors: Survivors = Survivors.END
    after_exit: Survivors = Survivors.END
    """The same, when the root ended by itself with status 0: somebody typed ``exit``."""
    daemons: Daemons = Daemons.SPARE
    grace: float = 2.0
    """Seconds between SIGTERM and SIGKILL."""


def _default_kinds() -> Mapping[Kind, KindPolicy]:
    kinds = dict.fromkeys(Kind, KindPolicy())
    # A shell that is left by `exit` keeps its background jobs by the shell's own rules
    # (bash: huponexit is off): the person chose that. See docs/decisions/0003.
    kinds[Kind.PANE] = KindPolicy(after_exit=Survivors.REPORT)
    return MappingProxyType(kinds)


@dataclass(frozen=True, slots=True)
class Project:
    """Wishes for the sessions of one directory and all below it."""

    path: str
    kinds: Mapping[Kind, KindPolicy]

    def holds(self, directory: str) -> bool:
        """Whether ``directory`` is its own or lies below it."""
        return directory == self.path or directory.startswith(self.path.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much may be ended within a while before Sentinel mistrusts itself (docs/decisions/0007)."""

    causes: int = 5
    share: float = 0.5
    """Of the user's processes, 0 to 1."""
    seconds: float = 30.0


CREW = "gt-*-crew-*"
"""Gas Town's name for the tmux sessions of its crew: people's own desks, which it never cleans up either."""


@dataclass(frozen=True, slots=True)
class Policy:
    """All wishes. Without a configuration these are the defaults."""

    mode: Mode = Mode.ACT
    kinds: Mapping[Kind, KindPolicy] = field(default_factory=_default_kinds)
    projects: tuple[Project, ...] = ()
    protected: tuple[str, ...] = (CREW,)
    """Patterns (fnmatch) of the names of sessions that nothing is taken from."""
    protected_programs: tuple[str, ...] = ()
    """Patterns of the kernel's names of processes that are never ended."""
    budget: Allowance = Allowance()
    held: str = ""
    """Why nothing may be ended or removed now, whatever the mode; empty when only the mode counts."""

    @property
    def why_not(self) -> str:
        """Why nothing may be ended or removed now, all reasons together; empty when it may."""
        return self.held or ("" if self.mode is Mode.ACT else 'the configuration says mode = "observe"')

    @property
    def acts(self) -> bool:
        """Whether anything may be ended or removed now."""
        return not self.why_not

    def of(self, kind: Kind, directory: str = "") -> KindPolicy:
        """The wishes for sessions of ``kind`` in ``directory``: those of the innermost project that holds it."""
        projects = [project for project in self.projects if project.holds(directory)]
        return max(projects, key=lambda project: len(project.path)).kinds[kind] if projects else self.kinds[kind]
