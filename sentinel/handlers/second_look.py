"""The judgement right before a signal: whatever changed since the first one counts."""

from __future__ import annotations

from sentinel.core.facts import ProcessId
from sentinel.core.ledger import Record
from sentinel.core.verdicts import ProcessVerdict, Spared
from sentinel.handlers.examiner import Examiner
from sentinel.handlers.restraint import Restraint
from sentinel.reaper.staleness import Glimpse


class SecondLook:
    """Judges what a dead session left, one by one: a single look serves all who are asked about at one moment.

    A look at each of them would take so long, where there are hundreds, that the first was old by the last.
    """

    def __init__(self, record: Record, examiner: Examiner, restraint: Restraint) -> None:
        self._record = record
        self._examiner = examiner
        self._restraint = restraint
        self._looked = Glimpse()
        self._verdicts: dict[ProcessId, ProcessVerdict] = {}

    def __call__(self, who: ProcessId) -> ProcessVerdict:
        """What is thought of a process now; a pause spares it."""
        if why := self._restraint.held():
            return Spared(who, "held", why)
        if not self._verdicts or self._looked.is_stale:
            self._looked = Glimpse()
            self._verdicts = {verdict.id: verdict for verdict in self._examiner.left_by(self._record)}
        return self._verdicts.get(who) or self._examiner.verdict(who)
