"""What a check is, what it finds, and how all of them are run: side by side, none for longer than a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sentinel.core.facts import ProcessId
from sentinel.core.sessions import Session
from sentinel.doctor.findings import Finding

if TYPE_CHECKING:
    from sentinel.doctor.patient import Patient

DEADLINE = 1.0
"""Seconds that a check may take. A tmux server or a message bus that hangs must not hang us."""


class CouldNotCheck(Exception):
    """A question got no answer. The message says which, and why."""


class Status(StrEnum):
    """What came of a check."""

    WELL = "well"
    FOUND = "found"
    UNKNOWN = "could not check"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What ``--fix`` would do about it."""

    says: str
    """As a sentence without a subject: ``end process 4711``."""
    ends: tuple[Finding, ...] = ()
    removes: tuple[Session, ...] = ()
    reopens: ProcessId | None = None
    """A tmux server that is asked to make its socket again."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is not as it should be."""

    what: str
    evidence: tuple[str, ...] = ()
    remedy: Remedy | None = None
    hint: str = ""
    """What a person can do about it, where Sentinel does nothing."""


@dataclass(frozen=True, slots=True)
class Check:
    """A question to the machine."""

    id: str
    category: str
    title: str
    """What is well when nothing is found."""
    run: Callable[[Patient], Iterable[Trouble]]
    """May raise ``CouldNotCheck``. Runs in a thread of its own."""


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to one question."""

    check: Check
    status: Status
    troubles: tuple[Trouble, ...] = ()
    why: str = ""
    """Why it could not be checked."""
    took: float = 0.0
    """Seconds."""


class _Run:
    """One check under way. Whoever does not come back in time is not waited for."""

    def __init__(self, check: Check, patient: Patient) -> None:
        self._check = check
        self._patient = patient
        self._report: Report | None = None
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._work, name=check.id, daemon=True)
        self._thread.start()

    def report(self, deadline: float) -> Report:
        """What came of it, after at most ``deadline`` seconds since it began."""
        self._thread.join(max(0.0, self._began + deadline - time.monotonic()))
        late = Report(self._check, Status.UNKNOWN, why=f"no answer within {deadline:g} s", took=deadline)
        return self._report or late

    def _work(self) -> None:
        troubles: list[Trouble] = []
        why = ""
        try:
            for trouble in self._check.run(self._patient):
                troubles.append(trouble)  # noqa: PERF402 - what was found before a question failed counts
        except CouldNotCheck as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - a check that fails is a check that did not answer
            why = f"{type(error).__name__}: {error}"
        status = Status.UNKNOWN if why else Status.FOUND if troubles else Status.WELL
        self._report = Report(self._check, status, tuple(troubles), why, time.monotonic() - self._began)


def examine(patient: Patient, checks: Sequence[Check], deadline: float = DEADLINE) -> list[Report]:
    """Run all checks side by side, and report in their order."""
    runs = [_Run(check, patient) for check in checks]
    return [run.report(deadline) for run in runs]
