"""Programs that are spared, or never killed, for what they are: the tables of ``programs``, asked."""

from __future__ import annotations

from functools import lru_cache

from sentinel.core.facts import ProcessFacts, Stdio, Surroundings
from sentinel.core.guards import programs
from sentinel.core.guards.case import Case


def session_keeper(case: Case) -> str | None:
    """NK4: servers that hold shells for somebody who is not connected now."""
    return _one_of(programs.SESSION_KEEPERS, case, "keeps sessions that somebody may come back to")


def editor_server(case: Case) -> str | None:
    """NK12: the remote halves of editors. What hangs under them is sheltered."""
    return _one_of(programs.EDITOR_SERVERS, case, "is an editor's server, to which the editor comes back")


def terminal(case: Case) -> str | None:
    """NK13: terminal emulators, and applications of macOS."""
    return _one_of(programs.TERMINALS, case, "is an application with windows of its own")


def user_service(case: Case) -> str | None:
    """NK14: agents, keyrings and servers that a user has one of."""
    return _one_of(programs.USER_SERVICES, case, "serves all that its user does")


def build_daemon(case: Case) -> str | None:
    """NK17: build daemons, idle or not."""
    doing = "is a build daemon, and waits for the next build"
    if (said := _one_of(programs.BUILD_DAEMONS, case, doing)) is not None:
        return said
    facts = case.facts
    if not isinstance(facts, ProcessFacts) or facts.name not in programs.DETACHED_DAEMONS:
        return None
    nothing = isinstance(case.stdio, Stdio) and not case.stdio.terminal and not case.stdio.pipe
    return f"{facts.name} {doing}" if nothing and facts.session == facts.id.pid else None


def container_runtime(case: Case) -> str | None:
    """NK18: what stands over containers and virtual machines."""
    return _one_of(programs.CONTAINER_RUNTIMES, case, "stands over containers or virtual machines")


def no_kill(case: Case) -> str:
    """NK19, NK20: why it gets SIGTERM at most; empty for what may be killed after the grace."""
    if not isinstance(case.facts, ProcessFacts):
        return ""
    name, program = case.facts.name, _program(case)
    if programs.DATABASES in _tables(name, program):
        return f"{name} is a database, which SIGKILL may damage: it is asked to end, and no more"
    if programs.PACKAGE_MANAGERS in _tables(name, program):
        return f"{name} may be in the middle of writing: it is asked to end, and no more"
    return ""


@lru_cache(maxsize=512)
def _tables(name: str, program: str) -> tuple[programs.Programs, ...]:
    """In which tables it is. A machine runs the same few programs over and over."""
    return tuple(table for table in programs.TABLES if table.hold(name, program))


def _one_of(table: programs.Programs, case: Case, what: str) -> str | None:
    if not isinstance(case.facts, ProcessFacts) or table not in _tables(case.facts.name, _program(case)):
        return None
    return f"{case.facts.name} {what}"


def _program(case: Case) -> str:
    return case.surroundings.program if isinstance(case.surroundings, Surroundings) else ""
