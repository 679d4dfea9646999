"""Shows one notification and ends: the process in which plyer may hang, leak or crash.

Reads a JSON object from stdin: ``application``, ``title`` and ``body`` (made harmless by the
agent), ``urgent``, ``replaces`` (an ``id`` that was told before, or 0), ``deadline`` (seconds)
and ``agent`` (its pid). Ends with 0 when the desktop took the notification; otherwise the last
line on stderr says why not. A line there that is a JSON object says what it was shown by, and
its ``id`` when it can be replaced.

Imports nothing of the agent, which keeps a notification at the cost of one bare interpreter.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import shutil
import signal
import sys
from typing import NamedTuple, NoReturn

APPLICATION_ICON = ""
NOTIFICATIONS = "/org/freedesktop/Notifications", "org.freedesktop.Notifications"
URGENCIES = {False: 1, True: 2}
"""``normal`` and ``critical`` of the Desktop Notifications Specification, 1.2."""
BY_ITS_OWN_SETTINGS = -1
"""The expiry that leaves it to the desktop how long it shows a notification."""

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
    urgent: bool = False
    replaces: int = 0


def main() -> None:
    """Deliver what stdin holds."""
    job = json.load(sys.stdin.buffer)
    _never_outlive(job["agent"], job["deadline"])
    try:
        deliver(Text(*(job[name] for name in Text._fields)), sys.platform, job["deadline"])
    except NotDelivered as error:
        sys.exit(str(error))
    except Exception as error:  # noqa: BLE001  plyer, dbus-python and pyobjus raise what they like: each is an answer
        sys.exit(f"{type(error).__name__}: {error}")


def deliver(text: Text, platform: str, deadline: float) -> None:
    """Show the notification by the best way that this machine has.

    That is D-Bus itself, where jeepney is installed: no other way can replace a notification,
    and none tells as surely whether it was taken. plyer's own choice (`instance()`) is not
    asked. In every container image with a folder /app it picks the flatpak portal, pasting the
    text unescaped into a GVariant, and it complains about its own dependencies on the user's
    stderr.

    Raises:
        NotDelivered: There is no way, or plyer's does not work here.
    """
    if platform == "darwin":
        _on_macos(text)
    elif importlib.util.find_spec("jeepney"):
        _by_dbus(text, deadline)
    elif shutil.which("notify-send"):
        _by_notify_send(text)
    else:
        _by_dbus_python(text)


def _say(by: str, mark: int = 0) -> None:
    """Say how it was, or is about to be, shown."""
    sys.stderr.write(json.dumps({"by": by, "id": mark}) + "\n")
    sys.stderr.flush()


def _by_dbus(text: Text, deadline: float) -> None:
    from jeepney import DBusAddress, MessageType, new_method_call
    from jeepney.io.blocking import open_dbus_connection

    path, name = NOTIFICATIONS
    hints = {"urgency": ("y", URGENCIES[text.urgent])}
    words: tuple[object, ...] = (
        text.application,
        text.replaces,
        APPLICATION_ICON,
        text.title,
        text.body,
        [],
        hints,
        BY_ITS_OWN_SETTINGS,
    )
    call = new_method_call(DBusAddress(path, name, name), "Notify", "susssasa{sv}i", words)
    with open_dbus_connection(os.environ["DBUS_SESSION_BUS_ADDRESS"], auth_timeout=deadline) as bus:
        answer = bus.send_and_get_reply(call, timeout=deadline)
    if answer.header.message_type is MessageType.error:
        raise NotDelivered(f"{answer.header.fields[4]}: {answer.body[0] if answer.body else ''}")  # 4: ERROR_NAME
    _say("D-Bus", answer.body[0])


def _by_notify_send(text: Text) -> NoReturn:
    """Preferred on Linux: becomes notify-send, so there is no child that could be left behind."""
    from plyer.platforms.linux import notification

    _say("notify-send")
    notification.subprocess = _Become(text)
    notification.NotifySendNotification().notify(title=text.title, message=text.body)
    raise NotDelivered("plyer did not run notify-send")


class _Become:
    """Stands where plyer's Linux module has `subprocess`: turns this process into the command.

    plyer throws the command's status away; now it is this worker's. plyer also puts the text
    before the options, which makes options of it, and adds ``-t 0``, which keeps the popup
    for ever; the command line here leaves the time to the desktop's settings.
    """

    def __init__(self, text: Text) -> None:
        self._options = [f"--app-name={text.application}", *(["--urgency=critical"] if text.urgent else [])]

    def call(self, command: list[str]) -> NoReturn:
        program, title, body, *_ = command
        # notify-send expands backslash escapes in the body, in that alone: \033 becomes a
        # real ESC, and \377 is no UTF-8, which kills it (libnotify 0.8.1).
        body = body.replace("\\", r"\\")
        os.execvp(program, [program, *self._options, "--", title, body])  # noqa: S606  no shell, on purpose


def _by_dbus_python(text: Text) -> None:
    try:
        importlib.import_module("dbus")
    except ImportError:
        raise NotDelivered(
            "neither jeepney nor notify-send nor dbus-python is installed (apt install libnotify-bin)"
        ) from None
    from plyer.platforms.linux.notification import NotifyDbus

    NotifyDbus().notify(title=text.title, message=text.body, app_name=text.application)
    _say("dbus-python")


def _on_macos(text: Text) -> None:
    """By plyer, else by a program of the user's or of the system's."""
    try:
        _by_notification_centre(text)
    except NotDelivered as error:
        _by_a_program_of_macos(text, error)


def _by_a_program_of_macos(text: Text, why: NotDelivered) -> NoReturn:
    if program := shutil.which("terminal-notifier"):
        # A word that begins like a property list is read as one (its issue 134), so none does.
        body = text.body if text.body[:1].isalnum() else f"\N{BULLET} {text.body}"
        _become("terminal-notifier", [program, "-title", text.title, "-message", body, "-group", text.application])
    if program := shutil.which("osascript"):
        script = [part for line in _SCRIPT for part in ("-e", line)]
        _become("osascript", [program, *script, text.title, text.body])
    raise why


_SCRIPT = ("on run words", "display notification (item 2 of words) with title (item 1 of words)", "end run")
"""AppleScript that gets its texts as arguments: none is ever part of the script."""


def _become(name: str, command: list[str]) -> NoReturn:
    _say(name)
    os.execv(command[0], command)  # noqa: S606  no shell, on purpose


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
    _say("notification centre")


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
