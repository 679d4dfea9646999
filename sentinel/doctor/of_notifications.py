"""The check of the ways to the person: one that works is enough."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from sentinel import instance
from sentinel.core.facts import Unknown
from sentinel.core.sessions import SocketMark
from sentinel.doctor.check import CouldNotCheck, Trouble
from sentinel.doctor.patient import Patient
from sentinel.notify import session_bus
from sentinel.notify.terminal import Terminal
from sentinel.notify.tmux import Tmux
from sentinel.observe import message_bus, processes

_NOTIFICATIONS = "org.freedesktop.Notifications"
_PATIENCE = 0.4
"""Seconds for a bus, and as many for the tmux servers: both together within the deadline of a check."""


def notifications(patient: Patient) -> Iterator[Trouble]:
    """Whether a person can be told, by any of the ways that are wished for. Nothing is shown."""
    if not patient.config.notify.enabled or sys.platform != "linux":
        return
    looks: dict[str, Callable[[Patient], str | Unknown]] = {"desktop": _desktop, "tmux": _tmux, "terminal": _terminal}
    obstacles: dict[str, str] = {}
    unanswered = ""
    for way in patient.config.notify.ways:
        answer = looks[way](patient)
        if not answer:
            return
        if isinstance(answer, Unknown):
            unanswered = unanswered or str(answer)
        else:
            obstacles[way] = answer
    if unanswered:
        raise CouldNotCheck(unanswered)
    evidence = tuple(f"{way}: {why}" for way, why in obstacles.items()) or ("notify.ways is empty",)
    yield Trouble("no notification can be shown now", evidence, hint=_hint(obstacles))


def _hint(obstacles: dict[str, str]) -> str:
    if "tmux" in obstacles:
        return "attach to tmux, or start a notification service; where you want none: set notify.enabled = false"
    return "sentinel notify --test says more; where you want none: set notify.enabled = false"


def _desktop(_: Patient) -> str | Unknown:
    """Why no desktop shows anything; empty when one would."""
    if not shutil.which("notify-send") and find_spec("dbus") is None and find_spec("jeepney") is None:
        return "neither jeepney nor notify-send nor dbus-python is installed (apt install libnotify-bin)"
    if not (address := session_bus.find(os.environ)):
        return "this log-in has no D-Bus session bus"
    serves = message_bus.serves(address, _NOTIFICATIONS, _PATIENCE)
    if isinstance(serves, Unknown):
        return serves
    return "" if serves else f"nobody serves {_NOTIFICATIONS} on the session bus (dunst, mako, a desktop)"


def _tmux(patient: Patient) -> str:
    """Why nobody sees a line in tmux; empty when somebody does."""
    found = [about.socket for _, about in patient.tmux_servers() if not isinstance(about, Unknown)]
    sockets: list[SocketMark] = [socket for socket in dict.fromkeys(found) if socket is not None]
    return asyncio.run(Tmux(lambda: sockets, deadline=_PATIENCE).nobody_looks())


def _terminal(patient: Patient) -> str | Unknown:
    """Why the agent's terminal, not the one that we are in, shows nothing; empty when it does."""
    state = instance.look(patient.where)
    if state.condition is not instance.Condition.RUNNING or state.pid is None:
        return "no agent runs in one"
    environ = processes.variables(state.pid, ("TERM", "TERM_PROGRAM", "TMUX"))
    if isinstance(environ, Unknown):
        return environ
    if obstacle := Terminal(environ).obstacle():
        return obstacle
    ahead = processes.in_foreground(state.pid)
    if isinstance(ahead, Unknown):
        return ahead
    return "" if ahead else "the agent has none, or runs in the background of it"
