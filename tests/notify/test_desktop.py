"""The desktop, as far as it is not the worker's: where it is, and which popup is replaced."""

from __future__ import annotations

import asyncio
import sys

from sentinel.notify import Delivery, Message, desktop
from sentinel.notify.desktop import Desktop, worker_environment


def test_on_macos_no_bus_is_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert worker_environment({"PATH": "/bin"}) == {"PATH": "/bin"}


def test_where_there_is_no_desktop_it_says_so_without_a_try(machine):
    assert Desktop(deadline=1, environ=machine.environ).obstacle() == ""
    del machine.environ["XDG_RUNTIME_DIR"]
    assert (
        Desktop(deadline=1, environ=machine.environ).obstacle() == "this log-in has no desktop (no D-Bus session bus)"
    )
    assert machine.pids == []


def test_the_popup_before_is_replaced_only_when_that_is_wanted_and_never_an_urgent_one(machine, monkeypatch):
    asked, marks = [], iter([7, 0, 9, 11, 12])

    async def deliver(message, *, replaces, deadline, environ):
        """Stands in for the worker: real desktops choose their marks themselves (tests/real)."""
        asked.append(replaces)
        return Delivery(shown=True, mark=next(marks))

    monkeypatch.setattr(desktop, "deliver", deliver)

    async def send():
        way = Desktop(deadline=1, environ=machine.environ)
        for message in (
            Message("Sentinel", "1"),
            Message("Sentinel", "2", replaces=True),
            Message("Sentinel", "3"),
            Message("Sentinel", "!", urgent=True),
            Message("Sentinel", "4", replaces=True),
        ):
            await way.show(message)

    asyncio.run(send())
    assert asked == [0, 7, 0, 0, 9]
