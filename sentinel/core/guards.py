"""Who is spared, and why.

A guard is a function from a case to the sentence that spares the process, or None. One
that cannot know says so, and that spares too. The rows in brackets are those of the
never-kill list in docs/safety.md; each guard has a mercy test in tests/core/test_guards.py
that fails when the guard is taken out of ``GUARDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sentinel.core.facts import Above, Cause, Death, Gone, ProcessFacts, ProcessId, Stdio, Unknown
from sentinel.core.ledger import Member
from sentinel.core.policy import Daemons, KindPolicy, Survivors
from sentinel.core.sessions import Kind, Session
from sentinel.core.verdicts import Spared

TMUX_SERVER = "tmux: server"
"""What a tmux server calls itself; set by tmux with PR_SET_NAME, so no argv can forge it by accident."""

CASCADE_SECONDS = 2.0
"""A session does not die in one instant: a shell that gets the hang-up ends a little before
or after its terminal's owner. Parents that were *killed* within this time before the death
died of it, they did not daemonise anything."""


@dataclass(frozen=True, slots=True)
class Ourselves:
    """The process that decides, and those it hangs on."""

    pid: int
    group: int
    uid: int
    ancestors: frozenset[int]


@dataclass(frozen=True, slots=True)
class World:
    """What is true around every case."""

    ourselves: Ourselves
    roots: Mapping[ProcessId, Session]
    """Roots of sessions that are not known to be dead."""
    manager_servers: Mapping[ProcessId, str]
    """tmux servers that an Overmind started for itself, with the key of its session."""


@dataclass(frozen=True, slots=True)
class Case:
    """One process before the judge: what was recorded, and what a fresh look says."""

    id: ProcessId
    member: Member | None
    session: Session | None
    """The session that owns it, by the ledger."""
    death: Death | Unknown | None
    """The end of that session's root; None while it lives."""
    facts: ProcessFacts | Gone | Unknown
    stdio: Stdio | Unknown | None
    """None when it was not asked for, see ``wants_stdio``."""
    chain: tuple[Above, ...] | Unknown
    """Its parent, that one's parent and so on, as they are now, without pid 1."""
    policy: KindPolicy
    world: World
    shelter: Spared | None = None
    """The nearest process above it that the same dead session left and that is spared."""


Speaks = Callable[[Case], str | None]


@dataclass(frozen=True, slots=True)
class Guard:
    """A reason to spare. ``id`` is what journal, ``explain`` and docs/rules.md call it."""

    id: str
    title: str
    speaks: Speaks


def wants_stdio(member: Member | None, facts: ProcessFacts) -> bool:
    """Whether a guard will ask where descriptors 0-2 lead. Reading them costs 10 us."""
    return facts.hangup_ignored or (member is not None and (member.nohup or member.left is not None))


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
    if case.stdio is None and isinstance(case.facts, ProcessFacts) and wants_stdio(case.member, case.facts):
        return "nobody looked where its input and output lead"
    return None


def identity_changed(case: Case) -> str | None:
    """The number belongs to another process now."""
    if isinstance(case.facts, ProcessFacts) and case.facts.id != case.id:
        return f"pid {case.id.pid} is another process now (started at {case.facts.id.start}, not {case.id.start})"
    return None


def ourselves(case: Case) -> str | None:
    """NK1: Sentinel, what it hangs on, and what shares its process group."""
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


def living_root(case: Case) -> str | None:
    """It is a session of its own that lives: an agent in a closed pane, a nested server."""
    inner = case.world.roots.get(case.id)
    if inner is not None:
        return f"it is itself a living session: {inner.title}"
    return None


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


def nohup(case: Case) -> str | None:
    """NK9: started with nohup, and no terminal for input or output.

    Ignored hang-ups are the sign, but node puts its signals back to their defaults when it
    starts: so it is also remembered who ran ``nohup``, and whom they bore.
    """
    if not isinstance(case.facts, ProcessFacts) or not isinstance(case.stdio, Stdio):
        return None
    if case.stdio.terminal:
        return None
    if case.facts.hangup_ignored:
        return "it was started to outlive its terminal (nohup: it ignores the hang-up and holds no terminal)"
    if case.member is not None and case.member.nohup:
        return "it was started with nohup, and holds no terminal"
    return None


def daemonised(case: Case) -> str | None:
    """Daemonised on purpose.

    It left the tree while its session lived, made a session of its own, and holds no
    terminal or pipe. What was still somebody's child at the death is not such a one.
    """
    member, facts = case.member, case.facts
    if member is None or member.left is None or member.manager_server:
        return None
    if case.policy.daemons is Daemons.END or not isinstance(facts, ProcessFacts):
        return None
    if not _made_a_session(facts, member, case.session) or not isinstance(case.stdio, Stdio):
        return None
    if case.stdio.terminal or case.stdio.pipe or _died_with_the_session(case, member):
        return None
    if case.session is not None and member.parent == case.session.command:
        return None  # the end of a `sentinel run` is the end of its command: it was still the command's child
    return "it was daemonised on purpose: it left its parent while the session lived, with a session of its own"


def _made_a_session(facts: ProcessFacts, member: Member, session: Session | None) -> bool:
    """It leads a session, or is the last of a double fork: the one between led it, and ran no program.

    A tool's shell that leads a session and leaves ``cmd &`` behind looks alike, but for that.
    Where nobody told us what its parent did, any session but the root's own counts.
    """
    if facts.session == facts.id.pid:
        return True
    if member.left is None or member.left.forked_only is None:
        return session is not None and facts.session != session.sid
    return facts.session == member.parent and member.left.forked_only


def _died_with_the_session(case: Case, member: Member) -> bool:
    if member.left is None or not isinstance(case.death, Death):
        return False
    return member.left.clean is False and case.death.at - member.left.at <= CASCADE_SECONDS


def disowned(case: Case) -> str | None:
    """NK10, as far as it can be seen.

    A shell hands the hang-up of its terminal on to its jobs, so one that neither ignores
    nor catches it and still lives was disowned.
    """
    if case.session is None or case.session.kind is not Kind.PANE or not isinstance(case.facts, ProcessFacts):
        return None
    facts = case.facts
    if facts.hangup_ignored or facts.hangup_caught or facts.session != case.session.root.pid:
        return None
    if isinstance(case.death, Death) and case.death.signal == 9:  # noqa: PLR2004 - SIGKILL: its shell had no chance
        return None
    return "its shell did not pass the hang-up on to it: it was disowned"


def policy_reports(case: Case) -> str | None:
    """The person wants to be told about such processes, not to have them ended."""
    if case.session is None or not isinstance(case.death, Death):
        return None
    kind = case.session.kind
    if case.policy.survivors is Survivors.REPORT:
        return f"what a {kind} session leaves is only reported (policy.{kind}.survivors)"
    if case.policy.after_exit is not Survivors.REPORT:
        return None
    if case.death.cause is Cause.EXITED and case.death.code == 0:
        return f"the {kind} was left in good order: what it leaves is only reported (policy.{kind}.after_exit)"
    # A shell that is left after a failed command hands its status on. So in a pane any exit
    # counts, as long as the server lives: with a dead one, the terminal was hung up.
    outer_lives = any(root.key == case.session.outer for root in case.world.roots.values())
    if kind is Kind.PANE and case.death.cause is not Cause.SIGNALLED and outer_lives:
        return f"the {kind} may have been left on purpose (policy.{kind}.after_exit)"
    return None


def sheltered(case: Case) -> str | None:
    """What hangs under a process that stays is at work for it: a daemon's worker, a window of ``screen``."""
    if case.shelter is None:
        return None
    return f"it hangs under process {case.shelter.id.pid}, which is spared [{case.shelter.guard}]"


GUARDS: tuple[Guard, ...] = (
    Guard("not-in-ledger", "not born of a watched session", not_in_ledger),
    Guard("owner-alive", "its session lives", owner_lives),
    Guard("unknown", "a witness did not answer", unknown_witness),
    Guard("identity", "the pid is another process now", identity_changed),
    Guard("ourselves", "Sentinel and its ancestors", ourselves),
    Guard("other-user", "another user's process", other_user),
    Guard("other-namespace", "containers", other_namespace),
    Guard("kernel-thread", "kernel threads", kernel_thread),
    Guard("living-session", "a living session of its own", living_root),
    Guard("tmux-server", "tmux servers", tmux_server),
    Guard("live-pane", "under a pane of a living tmux server", live_pane),
    Guard("adopted", "under another living session", adopted),
    Guard("stopped", "stopped or traced", stopped),
    Guard("nohup", "started with nohup", nohup),
    Guard("daemonised", "daemonised on purpose", daemonised),
    Guard("disowned", "disowned by its shell", disowned),
    Guard("policy", "the person wants a report only", policy_reports),
    Guard("sheltered", "under a process that is spared", sheltered),
)
