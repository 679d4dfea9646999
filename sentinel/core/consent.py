"""What a person's yes overrides, and what it never does.

A guard speaks for want of proof, for somebody's wish, or for what would be destroyed. Who
looks at a list of processes with the evidence and says yes has answered the first. Who names
a process by its number has answered the second, too: "may have been meant to stay" is a
guess about a wish, and here is the wish. Nothing answers the third.
"""

from __future__ import annotations

from dataclasses import replace

from sentinel.core.guards import GUARDS, Case
from sentinel.core.judge import judge
from sentinel.core.verdicts import ProcessVerdict

BY_A_YES = frozenset({"not-in-ledger", "policy"})
"""Guards that a yes to a list overrides: that nobody saw it born, and that it is only to be reported."""
BY_NAMING = BY_A_YES | {"nohup", "daemonised", "disowned", "build-daemon"}
"""Those that are overridden for a process that the person named by its number."""


def judge_with_consent(case: Case, *, named: bool = False) -> ProcessVerdict:
    """Decide about a process to whose end a person says yes.

    Args:
        case: All that is known of it.
        named: The person named it by its number; else it was one of a list.
    """
    overridden = BY_NAMING if named else BY_A_YES
    if case.shelter is not None and case.shelter.guard in overridden:
        case = replace(case, shelter=None)
    return judge(case, [guard for guard in GUARDS if guard.id not in overridden])
