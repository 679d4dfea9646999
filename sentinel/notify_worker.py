"""Shows one notification and ends: the process in which plyer may hang, leak or crash.

Reads a JSON object from stdin: ``application``, ``title`` and ``body`` (made harmless by the
agent), ``deadline`` (seconds) and ``agent`` (its pid). Ends with 0 when the desktop took the
notification; otherwise the last line on stderr says why not.

Imports nothing of the agent, which keeps a notification at the cost of one bare interpreter.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import shutil
import signal
import sys
from typing import NamedTuple, NoReturn

PR_SET_PDEATHSIG = 1  # prctl(2)
MARGIN = 1.0
"""Seconds after the agent's own deadline."""


class NotDelivered(Exception):
    """The notification cannot be shown; the message says why."""


class Text(NamedTuple):
    """What the desktop shall show."""

    application: str
    title: str
    body: str


def main() -> None:
    """Deliver what stdin holds."""
    job = json.load(sys.stdin.buffer)
    _never_outlive(job["agent"], job["deadline"])
    try:
        deliver(Text(job["application"], job["title"], job["body"]), sys.platform)
    except NotDelivered as error:
        sys.exit(str(error))
    except Exception as error:  # noqa: BLE001  plyer, dbus-python and pyobjus raise what they like: each is an answer
        sys.exit(f"{type(error).__name__}: {error}")


def deliver(text: Text, platform: str) -> None:
    """Show the notification by the best way that this machine has.

    plyer's own choice (`instance()`) is not asked. In every container image with a folder
    /app it picks the flatpak portal, pasting the text unescaped into a GVariant, and it
    complains about its own dependencies on the user's stderr.

    Raises:
        NotDelivered: There is no way, or plyer's does not work here.
    """
    if platform == "darwin":
        _by_notification_centre(text)
    elif shutil.which("notify-send"):
        _by_notify_send(text)
    else:
        _by_dbus_python(text)


def _by_notify_send(text: Text) -> NoReturn:
    """Preferred on Linux: becomes notify-send, so there is no child that could be left behind."""
    from plyer.platforms.linux import notification

    notification.subprocess = _Become(text.application)
    notification.NotifySendNotification().notify(title=text.title, message=text.body)
    raise NotDelivered("plyer did not run notify-send")


class _Become:
    """Stands where plyer's Linux module has `subprocess`: turns this process into the command.

    plyer throws the command's status away; now it is this worker's. plyer also puts the text
    before the options, which makes options of it, and adds ``-t 0``, which keeps the popup
    for ever; the command line here leaves the time to the desktop's settings.
    """

    def __init__(self, application: str) -> None:
        self._application = application

    def call(self, command: list[str]) -> NoReturn:
        program, title, body, *_ = command
        # notify-send expands backslash escapes in the body, in that alone: \033 becomes a
        # real ESC, and \377 is no UTF-8, which kills it (libnotify 0.8.1).
        body = body.replace("\\", r"\\")
        os.execvp(program, [program, f"--app-name={self._application}", "--", title, body])  # noqa: S606  no shell, on purpose


def _by_dbus_python(text: Text) -> None:
    try:
        importlib.import_module("dbus")
    except ImportError:
        raise NotDelivered("neither notify-send nor dbus-python is installed (apt install libnotify-bin)") from None
    from plyer.platforms.linux.notification import NotifyDbus

    NotifyDbus().notify(title=text.title, message=text.body, app_name=text.application)


def _by_notification_centre(text: Text) -> None:
    try:
        from plyer.platforms.macosx.notification import instance
    except ImportError:
        raise NotDelivered("pyobjus is not installed (pip install pyobjus)") from None
    try:
        instance().notify(title=text.title, message=text.body)
    except AttributeError as error:
        # defaultUserNotificationCenter() is nil outside an app bundle (plyer issues 593, 775, 780).
        raise NotDelivered(f"macOS gives its notification centre to app bundles only ({error})") from None


def _never_outlive(agent: int, deadline: float) -> None:
    """Die with the agent, and soon after the deadline even if nobody is left to enforce it.

    Both the timer and the death signal stay in force when this process becomes notify-send.
    """
    signal.setitimer(signal.ITIMER_REAL, deadline + MARGIN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != agent:  # it died before it could be followed
        sys.exit("the agent is gone")


if __name__ == "__main__":
    main()
