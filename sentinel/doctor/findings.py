"""Whom a person asks about, and what is shown of whoever is found."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sentinel.core.candidates import Candidate
from sentinel.core.rules.projects import inside
from sentinel.core.verdicts import Condemned, Spared
from sentinel.observe import processes
from sentinel.observe.age import age


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom a person asks about. Without anything: everybody who was left behind."""

    pids: tuple[int, ...] = ()
    pattern: re.Pattern[str] | None = None
    """What its command line must have in it."""
    older_than: float = 0.0
    """Seconds."""
    project: str = ""
    """The directory in which, or below which, it must work."""

    def reserve(self, found: Candidate) -> str:
        """Why it is not offered, though no guard was asked yet; empty when it may be."""
        if found.is_strong or self.pids:
            return ""
        if found.doubts:
            return found.doubts[0]
        return "" if self.pattern is not None else "nothing but this speaks for its having been left behind"


@dataclass(frozen=True, slots=True)
class Portrait:
    """What a person sees of a process."""

    command: str
    """Its command line, as it is: to be cleaned before it is shown."""
    directory: str
    age: float
    """Seconds."""
    memory: int
    """Bytes."""

    @classmethod
    def of(cls, found: Candidate) -> Portrait:
        """Look at it."""
        pid = found.id.pid
        program = processes.program(pid)
        command = " ".join(program[1]) if isinstance(program, tuple) and program[1] else found.facts.name
        return cls(command, processes.working_directory(pid), age(found.id), processes.memory(pid))

    def fits(self, asked: Asked) -> bool:
        """Whether it is asked about. Whoever is named needs to fit nothing else."""
        if asked.pids:
            return True
        if self.age < asked.older_than or (asked.project and not inside(self.directory, asked.project)):
            return False
        return asked.pattern is None or asked.pattern.search(self.command) is not None


@dataclass(frozen=True, slots=True)
class Finding:
    """A process that may have been left behind, and what may be done about it."""

    candidate: Candidate
    portrait: Portrait
    verdict: Condemned | Spared

    @property
    def target(self) -> Condemned | None:
        """What a yes would end; None for what is only shown."""
        return self.verdict if isinstance(self.verdict, Condemned) else None

    @property
    def why_not(self) -> str:
        """Why it is only shown; empty for what is offered."""
        return self.verdict.reason if isinstance(self.verdict, Spared) else ""
