"""What somebody meant to stay: the one who started it, or the one who configured Sentinel."""

from __future__ import annotations

from fnmatch import fnmatchcase

from sentinel.core.facts import Cause, Death, ProcessFacts, Stdio, Surroundings, kernel_name
from sentinel.core.guards.case import Case
from sentinel.core.ledger import Member
from sentinel.core.policy import Daemons, Survivors
from sentinel.core.sessions import Kind, Session

CASCADE_SECONDS = 2.0
"""A session does not die in one instant: a shell that gets the hang-up ends a little before
or after its terminal's owner. Parents that were *killed* within this time before the death
died of it, they did not daemonise anything."""


def kept(case: Case) -> str | None:
    """NK11, NK28: somebody said so, by a command or in its environment. It holds for what it bears, too."""
    if case.member is not None and case.member.kept:
        return "it is to be kept (`sentinel keep`)"
    if isinstance(case.surroundings, Surroundings) and case.surroundings.keep:
        return "its environment says that it is to be kept (SENTINEL_KEEP)"
    return None


def protected(case: Case) -> str | None:
    """NK28: sessions and programs that the configuration protects; the crew's desks without being told."""
    for name in case.names:
        if _fits(name, case.world.protected):
            return f"{name} is a protected session (protect.sessions)"
    if isinstance(case.facts, ProcessFacts) and _is_program(case.facts.name, case.world.protected_programs):
        return f"{case.facts.name} is a protected program (protect.programs)"
    return None


def _is_program(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of the patterns means it, if need be by as much of its name as the kernel keeps."""
    return _fits(name, patterns) or _fits(name, tuple(map(kernel_name, patterns)))


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


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
    if case.session is not None and member.parent and _is_the_commands(facts, member, case.session):
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


def _is_the_commands(facts: ProcessFacts, member: Member, session: Session) -> bool:
    """Whether the command of a run bore it.

    What is seen under the command for the first time may have fallen to it, if that is a
    subreaper. Then it is in a session that one between them made, or in one of its own: as
    the command's own child may be, and is taken for it.
    """
    fallen = member.foundling and facts.session != facts.id.pid
    return member.parent == session.command and not fallen


def _died_with_the_session(case: Case, member: Member) -> bool:
    if member.left is None or not isinstance(case.death, Death):
        return False
    return member.left.clean is False and case.death.at - member.left.at <= CASCADE_SECONDS


def disowned(case: Case) -> str | None:
    """NK10, as far as it can be seen.

    A shell hands the hang-up of its terminal on to its jobs, so one that neither ignores
    nor catches it, has none to take, and still lives after the shell was disowned.
    """
    if case.session is None or case.session.kind is not Kind.PANE or not isinstance(case.facts, ProcessFacts):
        return None
    if case.death is None:
        return None
    facts = case.facts
    if facts.hangup_ignored or facts.hangup_caught or facts.hangup_pending:
        return None
    if facts.session != case.session.root.pid:
        return None
    if isinstance(case.death, Death) and case.death.signal == 9:  # noqa: PLR2004 - SIGKILL: its shell had no chance
        return None
    if case.member is not None and case.member.left is not None and case.member.left.clean is False:
        return None  # whoever bore it was killed: the shell never knew of it, and nobody disowned it
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
    if case.death.cause is Cause.UNTOLD and kind is not Kind.PANE:
        return f"nobody told how the {kind} ended, and it may have been left in good order (policy.{kind}.after_exit)"
    # A shell that is left after a failed command hands its status on. So in a pane any exit
    # counts, as long as the server lives: with a dead one, the terminal was hung up.
    outer_lives = any(root.key == case.session.outer for root in case.world.roots.values())
    if kind is Kind.PANE and case.death.cause is not Cause.SIGNALLED and outer_lives:
        return f"the {kind} may have been left on purpose (policy.{kind}.after_exit)"
    return None
