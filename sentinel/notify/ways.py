"""Which ways to the person there are, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sentinel.config import Notify
from sentinel.core.ledger import Ledger
from sentinel.core.sessions import Kind, SocketMark
from sentinel.notify.desktop import Desktop
from sentinel.notify.terminal import Terminal
from sentinel.notify.tmux import Tmux
from sentinel.notify.way import Way


def ways_to_the_person(wishes: Notify, servers: Callable[[], Iterable[SocketMark]]) -> list[Way]:
    """The ways that the person wants.

    Args:
        wishes: Names them, and says how long each may take.
        servers: The sockets of the tmux servers that live now.
    """
    makers: dict[str, Callable[[], Way]] = {
        "desktop": lambda: Desktop(deadline=wishes.deadline),
        "tmux": lambda: Tmux(servers, deadline=wishes.deadline),
        "terminal": Terminal,
    }
    return [makers[name]() for name in dict.fromkeys(wishes.ways)]


def watched_servers(ledger: Ledger) -> Iterator[SocketMark]:
    """The sockets of the tmux servers that live, as far as the ledger knows."""
    for record in ledger.sessions():
        if record.session.kind is Kind.TMUX and record.death is None:
            yield from record.session.belongings.sockets
