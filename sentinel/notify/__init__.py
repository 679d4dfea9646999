"""Telling the person, and knowing whether that worked.

There are several ways to a person (``Way``): the desktop, tmux, the agent's terminal. The
``Notifier`` is the door to them: it takes the first that works, gives each a deadline and a
circuit breaker, and answers truthfully.

The desktop is never talked to in the agent: plyer blocks for as long as a desktop hangs
(25 s with dbus-python, over 60 s with notify-send), calls failures a success and obeys options
that stand in the text. Each notification gets a short-lived process, `sentinel.notify_worker`,
with a deadline that is kept from outside.
"""

from __future__ import annotations

from sentinel.notify.notifier import Notifier
from sentinel.notify.way import Delivery, Message, Way

__all__ = ["Delivery", "Message", "Notifier", "Way"]
