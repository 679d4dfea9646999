"""Telling the person, and knowing whether that worked.

plyer shows the notification, but never in the agent: it blocks for as long as a desktop
hangs (25 s with dbus-python, over 60 s with notify-send), calls failures a success and
obeys options that stand in the text. Each notification gets a short-lived process,
`sentinel.notify_worker`, with a deadline that is kept from outside.
"""

from __future__ import annotations

from sentinel.notify.delivery import Delivery
from sentinel.notify.notifier import Notifier

__all__ = ["Delivery", "Notifier"]
