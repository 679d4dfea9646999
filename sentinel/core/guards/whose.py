"""Whose it is, and whether it is the one that was meant: the questions before all others."""

from __future__ import annotations

from sentinel.core.facts import Death, ProcessFacts, Unknown
from sentinel.core.guards.case import Case, wants_stdio
from sentinel.core.ledger import Member, Witness

_SEEN_DESCENT = frozenset({Witness.FORK, Witness.LOOK})


def wants_birth(member: Member) -> bool:
    """Whether a guard will ask when it was born."""
    return member.witness not in _SEEN_DESCENT


def not_in_ledger(case: Case) -> str | None:
    """Rule zero (NK10): after the fact, nothing tells a lost process from a wanted one."""
    if case.member is None or case.session is None:
        return "no session that Sentinel watches bore it: it is nobody's to end"
    return None


def owner_lives(case: Case) -> str | None:
    """A process whose session lives is at work."""
    if case.session is not None and case.death is None:
        return f"its session {case.session.title} (pid {case.session.root.pid}) is alive"
    return None


def unknown_witness(case: Case) -> str | None:
    """NK27: a witness that did not answer says nothing, least of all "dead"."""
    for answer in (case.death, case.facts, case.chain, case.stdio):
        if isinstance(answer, Unknown):
            return str(answer)
    if case.member is not None and case.member.unread is not None:
        return f"nobody could tell what process {case.member.unread.pid} is: it may be a session of its own"
    if case.stdio is None and isinstance(case.facts, ProcessFacts) and wants_stdio(case.member, case.facts):
        return "nobody looked where its input and output lead"
    return None


def identity_changed(case: Case) -> str | None:
    """The number belongs to another process now."""
    if isinstance(case.facts, ProcessFacts) and case.facts.id != case.id:
        return f"pid {case.id.pid} is another process now (started at {case.facts.id.start}, not {case.id.start})"
    return None


def ourselves(case: Case) -> str | None:
    """NK1: Sentinel, what it hangs on, and what shares its process group.

    Not what shares its session (setsid): in a shell's background that is the whole terminal,
    and nothing here is ever sent to a session.
    """
    us, pid = case.world.ourselves, case.id.pid
    if pid <= 1:
        return "it is init"
    if pid == us.pid:
        return "it is Sentinel itself"
    if pid in us.ancestors:
        return "Sentinel runs under it"
    if isinstance(case.facts, ProcessFacts) and case.facts.group == us.group:
        return "it is in Sentinel's own process group"
    return None


def other_user(case: Case) -> str | None:
    """NK7: another user's process."""
    if isinstance(case.facts, ProcessFacts) and case.facts.uid != case.world.ourselves.uid:
        return f"it belongs to another user (uid {case.facts.uid})"
    return None


def other_namespace(case: Case) -> str | None:
    """NK8: containers. A parent of 0 is how ``docker exec`` looks from inside."""
    if not isinstance(case.facts, ProcessFacts):
        return None
    if case.facts.foreign_namespace:
        return "it lives in another pid namespace"
    if case.facts.parent == 0:
        return "its parent is outside this pid namespace"
    return None


def kernel_thread(case: Case) -> str | None:
    """NK24: kernel threads."""
    if isinstance(case.facts, ProcessFacts) and case.facts.kernel_thread:
        return "it is a kernel thread"
    return None


def next_generation(case: Case) -> str | None:
    """NK25: born after the death, and not of one that was there before.

    The kernel's word on a birth, and a look at a child under its living parent, prove descent
    whenever it was born. What was only named as belonging to the session proves it for what
    was there to be named.
    """
    if case.member is None or case.member.witness in _SEEN_DESCENT or not isinstance(case.death, Death):
        return None
    if case.born is None or case.born <= case.death.at:
        return None
    return "it was born after its session had died: it belongs to the next one"
