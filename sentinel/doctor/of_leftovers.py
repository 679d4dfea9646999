"""Checks for what was left behind: processes, sockets, ports, locks."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from sentinel import instance
from sentinel.core.facts import Unknown
from sentinel.core.rules.locks import FRESH, LockFacts, Shape, Standing, standing
from sentinel.doctor.check import CouldNotCheck, Remedy, Trouble
from sentinel.doctor.findings import Finding
from sentinel.doctor.patient import Patient
from sentinel.doctor.sockets import stale_sockets
from sentinel.locks.kinds import look
from sentinel.locks.places import places
from sentinel.observe import sockets
from sentinel.observe.ports import ports_of
from sentinel.service.installed import how_to_start


def processes(patient: Patient) -> Iterator[Trouble]:
    """Processes of sessions that have ended, but for coding agents."""
    for finding in patient.offered():
        if not _is_agent(patient, finding):
            yield _left(finding)


def agents(patient: Patient) -> Iterator[Trouble]:
    """Coding agents that nobody is above and that nobody can reach."""
    findings = [finding for finding in patient.findings() if _is_agent(patient, finding)]
    for finding in findings:
        if finding.target is not None:
            yield _left(finding)
        else:
            pid = finding.candidate.id.pid
            hint = f"look at it; if it is lost: sentinel clean {pid}"
            what = f"{finding.candidate.facts.name} (pid {pid}) has nobody above it"
            yield Trouble(what, (*finding.candidate.evidence, f"but {finding.why_not}"), hint=hint)


def stale(patient: Patient) -> Iterator[Trouble]:
    """Socket files of tmux and Overmind that nobody holds."""
    if isinstance(bound := sockets.bound_inodes(), Unknown):
        raise CouldNotCheck(str(bound))
    for session in stale_sockets(patient.uid, _where_work_is_done(patient), patient.where.quarantine):
        path = session.belongings.sockets[0].path
        evidence = (f"it was made by {session.title}", "no living socket is bound to this inode, and nobody answers")
        remedy = Remedy(f"move {path} into quarantine", removes=(session,))
        yield Trouble(f"{path} is a socket that nobody holds", evidence, remedy)


def ports(patient: Patient) -> Iterator[Trouble]:
    """Ports on which something that was left behind listens."""
    offered = {finding.candidate.id.pid: finding for finding in patient.offered()}
    listening = ports_of(offered)
    if isinstance(listening, Unknown):
        raise CouldNotCheck(str(listening))
    for pid, numbers in listening.items():
        for port in numbers:
            left = _left(offered[pid])
            yield Trouble(
                f"port {port} is held by {offered[pid].candidate.facts.name} (pid {pid})", left.evidence, left.remedy
            )


def locks(patient: Patient) -> Iterator[Trouble]:
    """Locks whose holder has ended. Which of them nobody may still hold elsewhere, a person knows."""
    yield from _agents_own(patient)
    wished, home = patient.config.locks.watch, os.path.expanduser("~")
    for path in places(_where_work_is_done(patient), wished, home=home).found():
        facts = look(path)
        how, why = standing(facts)
        if how is Standing.STALE and isinstance(facts, LockFacts) and _is_old_and_ours(facts, patient.uid):
            remove = "rm -r" if facts.shape is Shape.DIRECTORY else "rm"
            hint = f"if nothing in a container or on another machine holds it: {remove} {shlex.quote(path)}"
            yield Trouble(f"{path} is a lock that nobody holds", (why,), hint=hint)


def _where_work_is_done(patient: Patient) -> set[str]:
    """Directories: this one, those of what was left behind, and those of the configured projects."""
    projects = (project.path for project in patient.config.policy.projects)
    return {os.getcwd(), *(finding.portrait.directory for finding in patient.findings()), *projects}


def _is_old_and_ours(facts: LockFacts, uid: int) -> bool:
    return facts.uid == uid and facts.age >= FRESH


def _agents_own(patient: Patient) -> Iterator[Trouble]:
    state = instance.look(patient.where)
    if state.condition is instance.Condition.CRASHED:
        what = f"{patient.where.lock} still names an agent that died (pid {state.pid})"
        yield Trouble(what, ("the kernel has given the lock back",), hint=f"start it again: {how_to_start()}")


def _is_agent(patient: Patient, finding: Finding) -> bool:
    seen = patient.leftovers.look.orphaned_agents.get(finding.candidate.id.pid)
    return seen is not None and seen.id == finding.candidate.id


def _left(finding: Finding) -> Trouble:
    pid, name = finding.candidate.id.pid, finding.candidate.facts.name
    remedy = Remedy(f"end process {pid} ({name})", ends=(finding,))
    return Trouble(
        f"{name} (pid {pid}) was left behind [{finding.candidate.grade}]", finding.candidate.evidence, remedy
    )
