"""What lives around it: sessions that have nothing to do with the dead one, and what works for them."""

from __future__ import annotations

from sentinel.core.facts import ProcessFacts, Unknown
from sentinel.core.guards.case import TMUX_SERVER, Case
from sentinel.core.ledger import Member, Witness
from sentinel.core.sessions import Kind

_FOR_NOW = frozenset({"unknown", "unreadable", "inner-session", "serving"})
"""Guards that spare until more is known, or a session or a client has gone: nobody meant the process to stay."""


def living_root(case: Case) -> str | None:
    """It is a session of its own that lives: an agent in a closed pane, a nested server."""
    inner = case.world.roots.get(case.id)
    if inner is not None:
        return f"it is itself a living session: {inner.title}"
    return None


def inner_session(case: Case) -> str | None:
    """What lost its parent before anybody looked, and what that bore, may be the work of a living session inside."""
    member, session = case.member, case.session
    if member is None or session is None or not (member.foundling or _was_found(member)):
        return None
    for inner in case.world.roots.values():
        if inner.outer == session.key:
            return f"nobody saw who bore it, and it may be the work of {inner.title}, which lives"
    return None


def _was_found(member: Member) -> bool:
    """Whether it had lost its parent when it was seen first."""
    if member.left is None or member.witness is Witness.FORK:
        return False
    return member.witness is not Witness.LOOK or member.left.at <= member.since


def tmux_server(case: Case) -> str | None:
    """NK2: tmux servers, but for the one that a dead Overmind started for itself."""
    if not isinstance(case.facts, ProcessFacts) or case.facts.name != TMUX_SERVER:
        return None
    if case.member is not None and case.member.manager_server:
        return None
    return "it is a tmux server: its sessions are somebody's work"


def live_pane(case: Case) -> str | None:
    """NK3: whatever hangs under a living tmux server of any socket."""
    if isinstance(case.chain, Unknown):
        return None
    for above in case.chain:
        if above.id.pid == case.world.ourselves.pid:
            return None  # a `sentinel run` that is its own agent: what it catches is its command's, wherever it runs
        if above.name != TMUX_SERVER:
            continue
        owner = case.world.manager_servers.get(above.id)
        if case.session is None or owner != case.session.key:
            return f"it runs in a pane of a living tmux server (pid {above.id.pid})"
    return None


def adopted(case: Case) -> str | None:
    """Another living session is above it now. The ledger says otherwise: that is a doubt.

    A ``sentinel run`` is a child subreaper: what its inner sessions lose falls to it, and
    that makes nothing its own.
    """
    if isinstance(case.chain, Unknown):
        return None
    for above in case.chain:
        root = case.world.roots.get(above.id)
        if root is None:
            continue
        if root.kind is Kind.RUN:
            return None
        return f"it hangs under another living session: {root.title} (pid {above.id.pid})"
    return None


def stopped(case: Case) -> str | None:
    """NK22: stopped jobs and debuggees look dead, and somebody means to go on with them."""
    if not isinstance(case.facts, ProcessFacts):
        return None
    if case.facts.tracer:
        return f"it is being traced by process {case.facts.tracer}"
    if case.facts.state in "Tt":
        return "it is stopped: somebody may mean to continue it"
    return None


def tracing(case: Case) -> str | None:
    """NK22, the other side: a debugger goes with what it debugs, and that is spared."""
    if not case.tracees:
        return None
    return f"it is tracing process {case.tracees[0]}, which its end might end, too"


def stopped_jobs(case: Case) -> str | None:
    """NK22, and who has a stopped job: a process group that nobody is left to continue is hung up on (_exit(2))."""
    if not case.jobs:
        return None
    return f"process {case.jobs[0]} is a stopped job of it, and would be hung up on at its end"


def sheltered(case: Case) -> str | None:
    """What hangs under a process that stays is at work for it: a daemon's worker, a window of ``screen``."""
    if case.shelter is not None:
        return f"it hangs under process {case.shelter.id.pid}, which is spared [{case.shelter.guard}]"
    if case.member is not None and case.member.heir_of and case.member.heir_of not in _FOR_NOW:
        return f"what bore it was spared [{case.member.heir_of}], and has ended since: it goes on with that one's work"
    return None
