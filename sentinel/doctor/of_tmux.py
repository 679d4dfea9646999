"""Checks for tmux: servers that nobody can reach, sessions that nobody has a use for."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Iterator
from fnmatch import fnmatchcase

from sentinel.core.actions import Outcome, Reopen
from sentinel.core.facts import ProcessFacts, Unknown
from sentinel.core.rules.tmux_sessions import is_gas_towns, lost_its_rig
from sentinel.core.sessions import SocketMark
from sentinel.doctor.check import CouldNotCheck, Remedy, Trouble
from sentinel.doctor.patient import Patient
from sentinel.handlers.reopen import reopening
from sentinel.observe import tmux
from sentinel.observe.files import names_in
from sentinel.observe.tmux import TmuxServer, TmuxSession

_PATIENCE = 0.7
"""Seconds for a server to answer: within the deadline of a check, to say which one did not."""


def unreachable(patient: Patient) -> Iterator[Trouble]:
    """Living servers without a socket, or that do not go on."""
    for facts, about in patient.tmux_servers():
        if facts.state in "Tt":
            pid = facts.id.pid
            yield Trouble(
                f"a tmux server (pid {pid}) is stopped", ("its clients hang",), hint=f"go on: kill -CONT {pid}"
            )
        elif isinstance(about, Unknown):
            raise CouldNotCheck(str(about))
        elif about.socket is None:
            yield from _without_socket(facts, about)


def _without_socket(facts: ProcessFacts, about: TmuxServer) -> Iterator[Trouble]:
    pid = facts.id.pid
    what = f'tmux server "{about.label}" (pid {pid}) lives, and its socket is gone'
    directory = os.path.dirname(about.bound_to)
    if not os.path.isabs(directory):
        hint = f"end it when you do not need it: kill {pid}"
        yield Trouble(what, ("nobody can tell where it was",), hint=hint)
        return
    match reopening(facts.id):
        case Reopen(evidence=evidence):
            remedy = Remedy(f"send SIGUSR1 to process {pid}, which makes {about.bound_to} again", reopens=facts.id)
            yield Trouble(what, evidence, remedy)
        case Outcome(reason=why):
            hint = f"make {directory} again, with mode 700, then: kill -USR1 {pid}"
            evidence = (f"it made its socket at {about.bound_to}", why)
            yield Trouble(what, evidence, hint="" if os.path.isdir(directory) else hint)


def orphaned(patient: Patient) -> Iterator[Trouble]:
    """Sessions that a program made and has no use for any more. They are shown, never ended."""
    reachable = [
        (about.socket, about) for _, about in patient.tmux_servers() if isinstance(about, TmuxServer) and about.socket
    ]
    answers = asyncio.run(_ask_all([socket for socket, _ in reachable]))
    silent = [str(answer) for answer in answers if isinstance(answer, Unknown)]
    for (socket, _), answer in zip(reachable, answers, strict=True):
        for session in answer if isinstance(answer, list) else ():
            if not _is_protected(patient, session) and (why := _why_orphaned(session)):
                yield _orphan(socket, session, why)
    if silent:
        raise CouldNotCheck("; ".join(silent))


async def _ask_all(sockets: list[SocketMark]) -> list[list[TmuxSession] | Unknown]:
    return list(await asyncio.gather(*(tmux.list_sessions(socket, _PATIENCE) for socket in sockets)))


def _is_protected(patient: Patient, session: TmuxSession) -> bool:
    """Somebody looks at it, or wants it left alone."""
    return bool(session.attached) or any(fnmatchcase(session.name, one) for one in patient.config.policy.protected)


def _why_orphaned(session: TmuxSession) -> str:
    if not is_gas_towns(session.name):
        return ""
    rigs = _rigs_of_the_town(session.directory)
    return lost_its_rig(session.name, rigs) if rigs is not None else ""


def _rigs_of_the_town(directory: str) -> list[str] | None:
    """The rigs of the Gas Town in which ``directory`` lies; None when it lies in none.

    A town has a directory ``mayor``; a rig of it has ``polecats`` or ``crew``.
    """
    while directory not in ("", "/"):
        if os.path.isdir(os.path.join(directory, "mayor")):
            names = names_in(directory)
            if isinstance(names, Unknown):
                return None
            return [
                name
                for name in names
                if any(os.path.isdir(os.path.join(directory, name, part)) for part in ("polecats", "crew"))
            ]
        directory = os.path.dirname(directory)
    return None


def _orphan(socket: SocketMark, session: TmuxSession, why: str) -> Trouble:
    what = f'tmux session "{session.name}" ({session.session_id} on {socket.path}) seems to be of no use any more'
    hint = f"look at it; if it is lost: tmux -S {shlex.quote(socket.path)} kill-session -t '{session.session_id}'"
    return Trouble(what, (why, "nobody is attached to it"), hint=hint)
