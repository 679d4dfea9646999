"""The judgement right before a signal: whatever changed since the first one counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sentinel.core.facts import ProcessId
from sentinel.core.ledger import Record
from sentinel.core.verdicts import ProcessVerdict, Spared
from sentinel.handlers.examiner import Examiner
from sentinel.handlers.restraint import Restraint
from sentinel.reaper.staleness import Glimpse


class SecondLook:
    """Judges again, one by one: a single look serves all who are asked about at one moment.

    A look at each of them would take so long, where there are hundreds, that the first was old by the last.

    Args:
        held: Why nothing may be ended now; empty when it may.
        judge: Looks, and judges all who are concerned.
        judge_one: What is thought of one who is not among them any more.
    """

    def __init__(
        self,
        held: Callable[[], str],
        judge: Callable[[], Iterable[ProcessVerdict]],
        judge_one: Callable[[ProcessId], ProcessVerdict],
    ) -> None:
        self._held = held
        self._judge = judge
        self._judge_one = judge_one
        self._looked = Glimpse()
        self._verdicts: dict[ProcessId, ProcessVerdict] = {}

    def __call__(self, who: ProcessId) -> ProcessVerdict:
        """What is thought of a process now; a pause spares it."""
        if why := self._held():
            return Spared(who, "held", why)
        if not self._verdicts or self._looked.is_stale:
            self._looked = Glimpse()
            self._verdicts = {verdict.id: verdict for verdict in self._judge()}
        return self._verdicts.get(who) or self._judge_one(who)


def untold(who: ProcessId) -> Spared:
    """One that a look does not show: that is no proof of its end."""
    return Spared(who, "unknown", "nobody could tell what became of it")


def at_what_is_left(
    record: Record, examiner: Examiner, restraint: Restraint, catch_up: Callable[[], None]
) -> SecondLook:
    """A second look at what a dead session left.

    Not to be taken where an event is being answered: what ``catch_up`` publishes (the kernel has told
    it up to now) would wait there until the answer is given, and a session that began meanwhile be judged as nobody's.
    """

    def judge() -> Iterable[ProcessVerdict]:
        catch_up()
        return examiner.left_by(record)

    return SecondLook(restraint.held, judge, examiner.verdict)
