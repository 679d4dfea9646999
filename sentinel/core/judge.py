"""The judgement: a case in, a verdict with its evidence out."""

from __future__ import annotations

from collections.abc import Iterable

from sentinel.core.facts import Death, Gone, ProcessFacts, Surroundings
from sentinel.core.guards import GUARDS, SERVING, SHELTERED, UNANSWERED, Case, Guard, no_kill
from sentinel.core.ledger import Member
from sentinel.core.sentences import how_it_died
from sentinel.core.sessions import Session
from sentinel.core.verdicts import Absent, Condemned, ProcessVerdict, Spared


def judge(case: Case, guards: Iterable[Guard] = GUARDS) -> ProcessVerdict:
    """Decide about one process.

    It is condemned only if no guard speaks; the first that does is the reason given.
    ``guards`` is a parameter so that the mercy tests can take one out.
    """
    if (verdict := mercy(case, guards)) is not None:
        return verdict
    if not isinstance(case.facts, ProcessFacts):
        return Spared(case.id, "unknown", "nobody could look at it", evidence(case))
    ports = case.surroundings.ports if isinstance(case.surroundings, Surroundings) else ()
    return Condemned(case.id, case.facts, evidence(case), no_kill=no_kill(case), ports=ports)


def mercy(case: Case, guards: Iterable[Guard]) -> Spared | Absent | None:
    """Whether one of these guards spares a process, or it is gone; None condemns nobody yet."""
    facts = case.facts
    if isinstance(facts, Gone) or (isinstance(facts, ProcessFacts) and facts.dead and facts.id == case.id):
        return Absent(case.id)
    for guard in guards:
        if (reason := guard.speaks(case)) is not None:
            name = facts.name if isinstance(facts, ProcessFacts) else ""
            under = _shelter(case) if guard.id == SHELTERED else ""
            return Spared(case.id, guard.id, reason, evidence(case), name, under)
    return None


def _shelter(case: Case) -> str:
    """Id of the guard that spares what it hangs under, or what bore it, at the top."""
    if case.shelter is not None:
        return case.shelter.origin
    return case.member.heir_of if case.member is not None else ""


def objections(case: Case) -> list[tuple[Guard, str]]:
    """Every guard that speaks, with its sentence: what ``explain`` shows beyond the verdict."""
    return [(guard, reason) for guard in GUARDS if (reason := guard.speaks(case)) is not None]


def lacks_an_answer(verdicts: Iterable[ProcessVerdict]) -> bool:
    """Whether one of them is spared only because a witness did not answer."""
    return any(isinstance(verdict, Spared) and verdict.guard in UNANSWERED for verdict in verdicts)


def is_in_use(verdicts: Iterable[ProcessVerdict]) -> bool:
    """Whether one of them is spared only as long as it works for somebody."""
    return any(isinstance(verdict, Spared) and verdict.guard == SERVING for verdict in verdicts)


def evidence(case: Case) -> tuple[str, ...]:
    """What is known of a process, as sentences: how it is owned, and how its owner ended."""
    said: list[str] = []
    if case.session is not None and case.member is not None:
        said.append(_ownership(case.session, case.member))
        if isinstance(case.death, Death):
            said.append(f"{case.session.title} {how_it_died(case.death)}")
        elif case.death is None:
            said.append(f"{case.session.title} (pid {case.session.root.pid}) is alive")
    if isinstance(case.facts, ProcessFacts):
        said.append(_place(case.facts))
    return tuple(said)


def _ownership(session: Session, member: Member) -> str:
    born = f"born of process {member.parent}, " if member.parent else ""
    said = f"{born}owned by {session.title} ({session.key}): {member.witness}"
    if member.left is not None:
        said += "; its parent ended while the session lived"
    return said


def _place(facts: ProcessFacts) -> str:
    where = f"parent {facts.parent}, session {facts.session}"
    return f"{where}, terminal {'yes' if facts.terminal else 'none'}, state {facts.state}"
