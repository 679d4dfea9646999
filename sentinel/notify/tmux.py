"""tmux: one line at the foot of every client that is attached to a server of the user's.

Where there is no desktop - a log-in by ssh, a machine without a screen - this is where the
person looks. tmux (seen with 3.3a) holds back what panes print while the line is there, and any key
takes it away, so it stays for a few seconds only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from sentinel.core.facts import Unknown
from sentinel.core.sessions import SocketMark
from sentinel.notify import texts
from sentinel.notify.way import Delivery, Message
from sentinel.observe.tmux import ask_server

_SHOWN_FOR = 5000
"""Milliseconds. The default, 750, is too short to read a line."""
_NOBODY = "no client is attached"
_MOST = 16
"""Clients that are told at a time."""
# display-message expands #{formats}, #(commands) and #[styles], then strftime(3)'s letters.
# Doubling `#` is not understood alike by all versions; a sign that looks alike is nothing to any.
_HARMLESS = str.maketrans({"#": "\N{FULLWIDTH NUMBER SIGN}", "%": "%%"})


class Tmux:
    """Attached tmux clients.

    Args:
        servers: The sockets of the servers that live now.
        deadline: Seconds for all of it, however many servers there are and however many hang.
    """

    name = "tmux"

    def __init__(self, servers: Callable[[], Iterable[SocketMark]], *, deadline: float) -> None:
        self._servers = servers
        self._deadline = deadline

    def obstacle(self) -> str:
        """Whether there is no server."""
        return "" if any(True for _ in self._servers()) else "no tmux server runs"

    async def show(self, message: Message) -> Delivery:
        """Show it to every client at once."""
        told, troubles = 0, []
        asked = [asyncio.ensure_future(self._tell(server, line(message))) for server in self._servers()]
        for answer in await asyncio.gather(*asked):
            if isinstance(answer, Unknown):
                troubles.append(answer.why)
            else:
                told += answer
        if told:
            return Delivery(shown=True, by=self.name)
        return Delivery(shown=False, why=troubles[0] if troubles else _NOBODY)

    async def nobody_looks(self) -> str:
        """Why nobody would see a line now; empty when somebody would. Nothing is shown."""
        answers = await asyncio.gather(*map(self._clients, self._servers()))
        if any(isinstance(answer, list) and answer for answer in answers):
            return ""
        troubles = [answer.why for answer in answers if isinstance(answer, Unknown)]
        return self.obstacle() or (troubles[0] if troubles else _NOBODY)

    async def _tell(self, server: SocketMark, text: str) -> int | Unknown:
        """How many clients of one server were told; ``Unknown`` when it does not answer in time."""
        began = asyncio.get_running_loop().time()
        clients = await self._clients(server)
        if isinstance(clients, Unknown):
            return clients
        question = _question(server)
        left = self._deadline - (asyncio.get_running_loop().time() - began)
        said = [ask_server(question, server, left, display(client, text)) for client in clients[:_MOST]]
        answers = await asyncio.gather(*said)
        failed = [answer for answer in answers if isinstance(answer, Unknown)]
        return failed[0] if failed and len(failed) == len(answers) else len(answers) - len(failed)

    async def _clients(self, server: SocketMark) -> list[str] | Unknown:
        """Names of those who can be shown a line."""
        # The flag comes first: a control-mode client (a terminal that draws tmux itself) has no foot to show a line at.
        words = ["tmux", "list-clients", "-F", "#{client_control_mode} #{client_name}"]
        listed = await ask_server(_question(server), server, self._deadline, words)
        if isinstance(listed, Unknown):
            return listed
        return [name for flag, _, name in (row.partition(" ") for row in listed.splitlines()) if flag != "1" and name]


def _question(server: SocketMark) -> str:
    return f"who looks at {server.path}"


def display(client: str, text: str) -> list[str]:
    """The command that shows ``text`` to one client. It names no target: 3.2a crashes on some that are gone."""
    return ["tmux", "display-message", "-c", client, "-d", str(_SHOWN_FOR), "--", text]


def line(message: Message) -> str:
    """The message as one line that tmux shows and does not obey. It cuts off what the terminal has no columns for."""
    whole = texts.body(message.short) or f"{texts.title(message.title)}: {texts.body(message.body)}"
    shown = whole.replace("\n", "  ").translate(_HARMLESS)
    # A word that ends in `;` ends the command, for tmux.
    return f"{shown[:-1]}\\;" if shown.endswith(";") else shown
