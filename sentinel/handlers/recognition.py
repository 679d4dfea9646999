"""What a living process is to Sentinel: an agent, an Overmind, or nothing special."""

from __future__ import annotations

from sentinel.agents.recognise import Recognised, recognise, worth_a_look
from sentinel.core.facts import Unknown
from sentinel.core.sessions import Kind, Session
from sentinel.observe import processes


def recognise_process(pid: int, name: str, *, just_born: bool = False) -> Recognised | Unknown | None:
    """Look what it runs; None when that is nothing in the table.

    Right after its birth a process has the ``name`` of its program, and most need no second
    look. Later it may call itself anything.
    """
    if just_born and not worth_a_look(name):
        return None
    program = processes.program(pid)
    if isinstance(program, Unknown):
        return program
    return recognise(program[0], program[1], name)


def same_program(pid: int, session: Session) -> bool | Unknown:
    """Whether a process runs what this session was recognised by."""
    found = recognise_process(pid, processes.comm(pid))
    if isinstance(found, Unknown):
        return found
    if found is None or found.kind is not session.kind:
        return False
    return session.kind is Kind.OVERMIND or found.name == session.name
