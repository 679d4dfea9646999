"""What a person's yes overrides, and what it never does.

A guard speaks for want of proof, for somebody's wish, or for what would be destroyed. Who
looks at a list of processes with the evidence and says yes has answered the first. Who names
a process by its number has answered the second, too: "may have been meant to stay" is a
guess about a wish, and here is the wish. Nothing answers the third.

Who stops a project of his own has named what stands over it, its ports and its patterns; a
browser that shows its page does not keep its server. Who starts one has only said so of what
is in the way. Who sees the list of everything and says
yes to its end has said so of living sessions, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from sentinel.core.guards import Case, Guard
from sentinel.core.judge import mercy
from sentinel.core.verdicts import Absent, Spared

BY_A_YES = frozenset({"not-in-ledger", "policy"})
"""Guards that a yes to a list overrides: that nobody saw it born, and that it is only to be reported."""
MEANT_TO_STAY = frozenset({"nohup", "daemonised", "disowned"})
"""Guards that guess a wish from how a process was started."""
BY_NAMING = BY_A_YES | MEANT_TO_STAY | {"build-daemon"}
"""Those that are overridden for a process that the person named by its number."""
BY_STOPPING = BY_NAMING - {"build-daemon"} | {"serving"}
"""Those that are overridden for what works for a project that its user stops."""
BY_STOPPING_ITS_OWN = BY_STOPPING | {"live-pane", "adopted"}
"""The same for what stands over the project, and for what that bore: wherever it was started, it is the project's."""
BY_A_YES_TO_ALL = BY_STOPPING_ITS_OWN | {"owner-alive", "living-session", "inner-session", "tmux-server"}
"""Those that a yes to the end of everything overrides: living sessions are on that list by name."""


def mercy_after_a_yes(case: Case, guards: Iterable[Guard], *, named: bool = False) -> Spared | Absent | None:
    """Whether one of these guards spares a process though a person says yes to its end.

    Args:
        case: All that is known of it.
        guards: Those that are asked.
        named: The person named it by its number; else it was one of a list.
    """
    return mercy_beyond(case, guards, BY_NAMING if named else BY_A_YES)


def mercy_beyond(case: Case, guards: Iterable[Guard], overridden: Collection[str]) -> Spared | Absent | None:
    """Whether one of these guards spares a process, those left out whose ids are overridden.

    Neither do they spare it for the sake of one that bore it and has ended.
    """
    if case.member is not None and case.member.heir_of in overridden:
        case = replace(case, member=replace(case.member, heir_of=""))
    return mercy(case, (guard for guard in guards if guard.id not in overridden))
