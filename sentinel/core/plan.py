"""From verdicts to actions: what to ask of the reaper, and in which order."""

from __future__ import annotations

from collections.abc import Iterable

from sentinel.core.actions import Terminate
from sentinel.core.policy import Mode, Policy
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Condemned, ProcessVerdict

UNATTENDED_GRACE = 0.5
"""Seconds at most between SIGTERM and SIGKILL where nobody sits: a pipeline waits for us."""


def plan_processes(
    session: Session, verdicts: Iterable[ProcessVerdict], policy: Policy, *, without_grace: bool = False
) -> Terminate | None:
    """One action for everything condemned, or None when there is nothing to do."""
    if policy.mode is Mode.OBSERVE:
        return None
    condemned = [v for v in verdicts if isinstance(v, Condemned)]
    if not condemned:
        return None
    grace = 0.0 if without_grace else policy.of(session.kind, session.directory).grace
    if session.unattended:
        grace = min(grace, UNATTENDED_GRACE)
    return Terminate(session, deepest_first(condemned), grace)


def deepest_first(condemned: list[Condemned]) -> tuple[Condemned, ...]:
    """Children before their parents, as their parents are now; else the youngest first."""
    parents = {v.id.pid: v.facts.parent for v in condemned}

    def depth(pid: int) -> int:
        steps = 0
        # The bound ends a circle, which only a torn look (pids reused between two reads) can show.
        while (pid := parents.get(pid, 0)) in parents and steps <= len(parents):
            steps += 1
        return steps

    return tuple(sorted(condemned, key=lambda v: (-depth(v.id.pid), -v.id.start, -v.id.pid)))
