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
class Policy:
    """All wishes. Without a configuration these are the defaults."""

    mode: Mode = Mode.ACT
    kinds: Mapping[Kind, KindPolicy] = field(default_factory=_default_kinds)

    def of(self, kind: Kind) -> KindPolicy:
        """The wishes for sessions of ``kind``."""
        return self.kinds[kind]
