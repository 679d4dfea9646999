"""``sentinel notify``: how you are told, and whether that works."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from sentinel import config, paths
from sentinel.cli import screen
from sentinel.core.sanitise import clean

if TYPE_CHECKING:
    from sentinel.config import Notify
    from sentinel.core.sessions import SocketMark
    from sentinel.notify import Delivery, Way
    from sentinel.notify.popup import Popup

_NO_WAY = 1
_PATIENCE = 15.0
"""Seconds in which the button of the trial can be pressed, where somebody looks."""


@click.command("notify")
@click.option("--test", "trial", is_flag=True, help="Show a notification by each way, and say which worked.")
def command(*, trial: bool) -> None:
    """Show the ways in which Sentinel can tell you something, in the order in which it tries them.

    Exit status: 0 there is a way, 1 there is none. Only --test knows for sure: without it nobody is asked.
    """
    wishes = config.load(paths.find().config_file).notify
    ways = _ways(wishes)
    found = _try(ways, buttons=wishes.buttons) if trial else _look(ways)
    for line in (*_wishes(wishes), *_of_the_agent(wishes)):
        screen.say(line)
    sys.exit(0 if found else _NO_WAY)


def _ways(wishes: Notify) -> list[Way]:
    from sentinel.notify.ways import ways_to_the_person

    return ways_to_the_person(wishes, _servers)


def _servers() -> Iterable[SocketMark]:
    """The user's tmux servers: those in the usual place, and the one that we are in."""
    import os

    from sentinel.core.facts import SocketFacts
    from sentinel.core.sessions import SocketMark
    from sentinel.observe.sockets import bound_inodes, look_at_socket
    from sentinel.observe.tmux import socket_directory

    directory = socket_directory()
    found = [entry.path for entry in os.scandir(directory)] if os.path.isdir(directory) else []
    here = os.environ.get("TMUX", "").partition(",")[0]
    bound = bound_inodes()
    seen = {path: look_at_socket(path, bound) for path in [*found, *([here] if here else [])]}
    # tmux leaves its socket behind when it ends: why nobody answers there is no news.
    dead = {path for path, facts in seen.items() if isinstance(facts, SocketFacts) and facts.bound is False}
    return [SocketMark(path) for path in seen if path not in dead]


def _look(ways: list[Way]) -> bool:
    obstacles = {way.name: way.obstacle() for way in ways}
    for name, obstacle in obstacles.items():
        screen.say(f"{name:<10}{clean(obstacle) or 'can be tried'}")
    return not all(obstacles.values())


def _try(ways: list[Way], *, buttons: bool) -> bool:
    import asyncio

    shown = [asyncio.run(_show(way, buttons=buttons)) for way in ways]  # each, also behind one that works
    return any(shown)


async def _show(way: Way, *, buttons: bool) -> bool:
    """Try one way. It has a notifier to itself: all are to be tried, and what it says is what the agent would hear."""
    from sentinel.core.buttons import Button
    from sentinel.notify import Message, Notifier

    notifier = Notifier([way])
    text = f"This is how Sentinel tells you something, by way of: {way.name}."
    delivery = await notifier.send(Message("Sentinel: a trial", text, buttons=(Button.WHY,) if buttons else ()))
    screen.say(f"{way.name:<10}{clean(str(delivery), 500)}")
    if delivery.shown and way.name == "desktop":
        screen.say(f"{'':<10}{_abilities(delivery)}")
        screen.say(f"{'':<10}{_buttons(delivery, wanted=buttons)}")
    if delivery.popup is not None and sys.stdout.isatty():
        screen.say(f"{'':<10}press the button of the trial, if you like, within {_PATIENCE:g} s")
        screen.say(f"{'':<10}{'it was pressed' if await _is_pressed(delivery.popup) else 'it was not pressed'}")
    await notifier.close()
    return delivery.shown


async def _is_pressed(popup: Popup) -> bool:
    import asyncio

    pressed = asyncio.Event()
    popup.listen(lambda _: pressed.set())
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await pressed.wait()
    return pressed.is_set()


def _abilities(delivery: Delivery) -> str:
    if delivery.mark:
        return "one popup can take the place of another"
    return f"popups stack, since this way cannot replace one ({_how_to_have_dbus()})"


def _buttons(delivery: Delivery, *, wanted: bool) -> str:
    if not wanted:
        return "no buttons: notify.buttons is false"
    if delivery.popup is not None:
        return "popups have buttons"
    if delivery.mark:
        return "no buttons: the service that shows popups here has none"
    return f"no buttons: only D-Bus itself has them ({_how_to_have_dbus()})"


def _how_to_have_dbus(prefix: str = sys.prefix) -> str:
    """What puts jeepney beside this Sentinel: a bare ``pip`` is another Python's, where pipx or uv made ours."""
    import os
    import shlex

    if os.path.exists(f"{prefix}/pipx_metadata.json"):
        return "pipx inject session-sentinel jeepney"
    if os.path.exists(f"{prefix}/uv-receipt.toml"):
        return "uv tool install --with jeepney session-sentinel"
    return f"{shlex.quote(f'{prefix}/bin/python')} -m pip install jeepney"


def _of_the_agent(wishes: Notify) -> Iterable[str]:
    """What is another way for the agent than for who asks here."""
    from sentinel.service.installed import is_installed

    if "terminal" in wishes.ways and is_installed():
        yield "The agent is a service, and has no terminal: that way is for one in the foreground."


def _wishes(wishes: Notify) -> Iterable[str]:
    if not wishes.enabled:
        yield "You are told nothing: notify.enabled is false."
        return
    if not wishes.ways:
        yield "You are told nothing: notify.ways is empty."
    if wishes.min_processes > 1:
        yield f"Clean-ups of fewer than {wishes.min_processes} things are not told."
    if wishes.silent:
        yield f"Clean-ups after these are not told: {', '.join(wishes.silent)}."
    if wishes.quiet:
        yield f"From {wishes.quiet.replace('-', ' to ')} only what is urgent is shown."
