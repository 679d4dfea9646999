"""tmux's hooks on all servers of the user: ``sentinel hooks install tmux``.

Nothing is written into a file of the user's. That they are wanted is a file of our own, in the
form of a tmux.conf: while it is there, the agent sets them on each server that is born.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress

from sentinel import paths
from sentinel.atomic import replace_file
from sentinel.core.facts import Unknown
from sentinel.core.sentences import count
from sentinel.core.sessions import SocketMark
from sentinel.errors import SentinelError
from sentinel.integrations import tmux
from sentinel.integrations.plan import Change, Host, Standing
from sentinel.observe.tmux import TmuxServer, servers
from sentinel.paths import Paths

_DEADLINE = 1.0
"""Seconds for all servers together: they are asked side by side."""


class _Tmux:
    name = "tmux"
    starts_us = False

    def install(self, host: Host, words: Sequence[str]) -> Change | None:  # noqa: ARG002 - the hooks start nothing of ours
        """Have them on every server that can be asked, and wanted on those to come."""
        where = paths.find(host.environ)
        reachable = _reachable()
        lacking = [server for server, answer in _asked(reachable, tmux.missing) if answer]
        if tmux.wanted(where) and where.tmux_hooks.read_text() == tmux.lines(where) and not lacking:
            return None
        path = host.show(where.tmux_hooks)
        hint = (
            "The agent sets them on each server that starts, and again when a configuration wipes them. "
            f"To have them without it, in your tmux.conf: source-file -q {path}. "
            f"For your status line: #{{{tmux.STATUS}}}"
        )
        lines = [
            f"write {path}, which says that the hooks are wanted",
            f"set {', '.join(tmux.HOOKS)}, each at the index {tmux.INDEX}, on {_named(reachable)}:",
            f"    {tmux.command(tmux.HOOKS[0], where)}",
        ]
        brief = [lines[0], f"set {count(len(tmux.HOOKS), 'hook')} on {_named(reachable)}"]
        return Change(lines, lambda: _install(where, reachable), hint, brief)

    def uninstall(self, host: Host) -> Change | None:
        """Have them nowhere."""
        where = paths.find(host.environ)
        there = [server for server, answer in _asked(_reachable(), tmux.missing) if answer != tmux.HOOKS]
        if not tmux.wanted(where) and not there:
            return None
        lines = [f"remove {host.show(where.tmux_hooks)}", f"take the hooks off {_named(there)}"]
        return Change(lines, lambda: _uninstall(where, there))

    def status(self, host: Host) -> Standing:
        """Whether they are wanted, and which server lacks them."""
        where = paths.find(host.environ)
        if not tmux.wanted(where):
            return Standing(installed=False, where="")
        answers = _asked(_reachable(), tmux.missing)
        lacking = [_lack(server.label, answer) for server, answer in answers if answer]
        return Standing(installed=True, where=host.show(where.tmux_hooks), trusted=not lacking, why="; ".join(lacking))


integration = _Tmux()


def _reachable() -> list[TmuxServer]:
    """The user's servers that have a socket. Those that an Overmind starts for itself are its own."""
    found = servers()
    if isinstance(found, Unknown):
        raise SentinelError(str(found))
    return [server for server in found if server.socket is not None and not server.is_overminds]


def _named(some: Sequence[TmuxServer]) -> str:
    names = ", ".join(server.label for server in some)
    return f"{count(len(some), 'server')}: {names}" if some else "no server, for none runs"


def _lack(label: str, answer: tuple[str, ...] | Unknown) -> str:
    return str(answer) if isinstance(answer, Unknown) else f"{label} lacks {count(len(answer), 'hook')}"


Question = Callable[[SocketMark, float], Coroutine[None, None, tuple[str, ...] | Unknown | None]]


def _asked(whom: Sequence[TmuxServer], question: Question) -> list[tuple[TmuxServer, tuple[str, ...] | Unknown | None]]:
    """What each answers, all asked at once."""

    async def ask() -> list[tuple[str, ...] | Unknown | None]:
        questions = [question(server.socket, _DEADLINE) for server in whom if server.socket is not None]
        return list(await asyncio.gather(*questions))

    return list(zip(whom, asyncio.run(ask()), strict=True))


def _install(where: Paths, reachable: Sequence[TmuxServer]) -> None:
    try:
        paths.make(where.state)
        replace_file(where.tmux_hooks, tmux.lines(where).encode())
    except OSError as error:
        raise SentinelError(f"{where.tmux_hooks} cannot be written: {error.strerror}") from error
    # Whoever does not answer now is asked again by the agent.
    _asked(reachable, lambda socket, deadline: tmux.install(socket, where, deadline))


def _uninstall(where: Paths, there: Sequence[TmuxServer]) -> None:
    """The wish goes first: an agent would set them anew."""
    with suppress(FileNotFoundError):
        os.unlink(where.tmux_hooks)
    silent = [server.label for server, answer in _asked(there, tmux.remove) if isinstance(answer, Unknown)]
    if silent:
        raise SentinelError(f"these servers did not answer, and may still have the hooks: {', '.join(silent)}")
