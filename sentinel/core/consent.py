"""What a person's yes overrides, and what it never does.

A guard speaks for want of proof, for somebody's wish, or for what would be destroyed. Who
looks at a list of processes with the evidence and says yes has answered the first. Who names
a process by its number has answered the second, too: "may have been meant to stay" is a
guess about a wish, and here is the wish. Nothing answers the third.
"""

from __future__ import annotations

from collections.abc import Iterable

from sentinel.core.guards import Case, Guard
from sentinel.core.judge import mercy
from sentinel.core.verdicts import Absent, Spared

BY_A_YES = frozenset({"not-in-ledger", "policy"})
"""Guards that a yes to a list overrides: that nobody saw it born, and that it is only to be reported."""
BY_NAMING = BY_A_YES | {"nohup", "daemonised", "disowned", "build-daemon"}
"""Those that are overridden for a process that the person named by its number."""


def mercy_after_a_yes(case: Case, guards: Iterable[Guard], *, named: bool = False) -> Spared | Absent | None:
    """Whether one of these guards spares a process though a person says yes to its end.

    Args:
        case: All that is known of it.
        guards: Those that are asked.
        named: The person named it by its number; else it was one of a list.
    """
    overridden = BY_NAMING if named else BY_A_YES
    return mercy(case, (guard for guard in guards if guard.id not in overridden))
