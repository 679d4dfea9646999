"""What people call things: a pid, or a session by its key, its id or its name."""

from __future__ import annotations

from sentinel.core.ledger import Ledger, Record
from sentinel.core.sanitise import clean
from sentinel.errors import NoSuchThing

_DIGITS = 10
"""Of a pid. What is longer is a name; nor is it a pid what only looks like a number (``²``)."""


def is_pid(what: str) -> bool:
    """Whether a pid is meant."""
    return what.isascii() and what.isdigit() and len(what) <= _DIGITS


def sessions_called(ledger: Ledger, name: str) -> list[Record]:
    """Sessions by key, by id, or by a name of theirs or an id in the registry: the most exact first."""
    for called in (
        lambda session: session.key == name,
        lambda session: session.id == name,
        lambda session: name in {session.name, *session.registered},
    ):
        if found := [record for record in ledger.sessions() if called(record.session)]:
            return found
    return []


def session_called(ledger: Ledger, name: str) -> Record:
    """The one session of that name.

    Raises:
        NoSuchThing: There is none, or more than one.
    """
    found = sessions_called(ledger, name)
    if not found:
        raise NoSuchThing(f"no living session is called {clean(name)}")
    if len(found) > 1:
        names = ", ".join(record.session.id for record in found)
        raise NoSuchThing(f"several sessions are called {clean(name)}: {names}")
    return found[0]
