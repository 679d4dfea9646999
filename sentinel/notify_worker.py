"""Shows one notification and ends: the process in which plyer may hang, leak or crash.

Reads a JSON object from stdin: ``application``, ``title`` and ``body`` (made harmless by the
agent), ``urgent``, ``replaces`` (an ``id`` that was told before, or 0), ``buttons`` (a name and
a label each), ``patience`` (seconds), ``deadline`` (seconds) and ``agent`` (its pid). Ends with 0
when the desktop took the notification; otherwise the last line on stderr says why not. A line
there that is a JSON object says what it was shown by, and its ``id`` when it can be replaced.

Where it says ``waits``, too, the notification has its buttons, and this process stays: until one
is pressed, which it says as ``pressed``; until the notification is closed, or the service that
shows it is gone; and no longer than its patience, or than the agent keeps its end of stdin.

Imports nothing of the agent, which keeps a notification at the cost of one bare interpreter.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection
    from jeepney.low_level import Message

APPLICATION_ICON = ""
NOTIFICATIONS = "/org/freedesktop/Notifications", "org.freedesktop.Notifications"
BUS = "/org/freedesktop/DBus", "org.freedesktop.DBus"
LOW, NORMAL, CRITICAL = range(3)
"""Urgencies of the Desktop Notifications Specification, 1.2."""
BY_ITS_OWN_SETTINGS = -1
"""The expiry that leaves it to the desktop how long it shows a notification."""

PR_SET_PDEATHSIG = 1  # prctl(2)
MARGIN = 1.0
"""Seconds after the agent's own deadline."""
FAREWELL = 0.25
"""Seconds for taking the buttons away that nobody hears any more."""
MOST_SIGNALS = 20_000
"""Signals that are looked at, a second of computing: a service may send what it likes."""
STDIN = 0


class NotDelivered(Exception):
    """The notification cannot be shown; the message says why."""


class Text(NamedTuple):
    """What the desktop shall show."""

    application: str
    title: str
    body: str
    urgent: bool = False
    replaces: int = 0
    buttons: Sequence[tuple[str, str]] = ()
    patience: float = 0.0


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


def _say(by: str, mark: int = 0, *, waits: bool = False) -> None:
    """Say how it was, or is about to be, shown."""
    _tell({"by": by, "id": mark, "waits": waits})


def _tell(line: dict[str, object]) -> None:
    sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


def _by_dbus(text: Text, deadline: float) -> None:
    from jeepney.io.blocking import open_dbus_connection

    with open_dbus_connection(os.environ["DBUS_SESSION_BUS_ADDRESS"], auth_timeout=deadline) as bus:
        service = _Service(bus, deadline)
        if not (text.buttons and service.shows_buttons()):
            text = text._replace(buttons=())
        server, mark = service.notify(text, CRITICAL if text.urgent else NORMAL)
        if text.buttons:
            _end_after(text.patience + MARGIN)
            _at_the_agents_end(0)  # stdin tells of it, and there is something to do then
        _say("D-Bus", mark, waits=bool(text.buttons))
        if text.buttons:
            with suppress(OSError):  # the bus is gone, and every popup with it
                service.wait(text._replace(replaces=mark), server)


class _Service:
    """The notification service, spoken to directly.

    Args:
        bus: The session's.
        deadline: Seconds for each answer.
    """

    def __init__(self, bus: DBusConnection, deadline: float) -> None:
        self._bus = bus
        self._deadline = deadline

    def shows_buttons(self) -> bool:
        """Whether it has them. From here on its signals are heard, so that no press is missed."""
        path, name = NOTIFICATIONS
        with suppress(NotDelivered):  # it cannot say
            if "actions" in self._ask(NOTIFICATIONS, "GetCapabilities").body[0]:
                self._hear(f"sender='{name}',interface='{name}',path='{path}'")
                self._hear(f"sender='{BUS[1]}',interface='{BUS[1]}',member='NameOwnerChanged',arg0='{name}'")
                return True
        return False

    def notify(self, text: Text, urgency: int, server: str = "") -> tuple[str, int]:
        """Show it. Returns who did, by a name that nobody else ever has, and what that one calls the popup.

        Raises:
            NotDelivered: It was not shown.
        """
        from jeepney import HeaderFields

        path, name = NOTIFICATIONS
        actions = [word for button in text.buttons for word in button]
        told = (text.application, text.replaces, APPLICATION_ICON, text.title, text.body)
        shown = (*told, actions, {"urgency": ("y", urgency)}, BY_ITS_OWN_SETTINGS)
        answer = self._ask((path, name), "Notify", "susssasa{sv}i", shown, to=server)
        return str(answer.header.fields.get(HeaderFields.sender)), answer.body[0]

    def wait(self, text: Text, server: str) -> None:
        """Say which button of the popup ``text.replaces`` is pressed; take them away when nobody wants to know."""
        names = {name for name, _ in text.buttons}
        for sender, member, body in self._signals(time.monotonic() + text.patience):
            match member, body:
                case "NameOwnerChanged", (_, before, *_) if (sender, before) == (BUS[1], server):
                    return
                case "NotificationClosed", (mark, *_) if (sender, mark) == (server, text.replaces):
                    return
                case "ActionInvoked", (mark, str(name)) if (sender, mark) == (server, text.replaces) and name in names:
                    _tell({"pressed": name})
                    return
        _end_after(FAREWELL)
        with suppress(NotDelivered):  # low: it has been seen, and is no news
            self.notify(text._replace(buttons=()), LOW, server)

    def _signals(self, until: float) -> Iterator[tuple[object, object, tuple[object, ...]]]:
        """Who sent which signal with what in it, for as long as the agent listens."""
        from jeepney import HeaderFields

        agent, either = select.poll(), select.poll()
        for poll in (agent, either):
            poll.register(STDIN, 0)  # it was closed for writing long ago; what is told now is that it was closed
        either.register(self._bus.sock, select.POLLIN)
        heard = 0
        while heard < MOST_SIGNALS and (left := until - time.monotonic()) > 0 and not agent.poll(0):
            try:
                message = self._bus.receive(timeout=0)
            except TimeoutError:
                either.poll(1000 * left)
                continue
            heard += 1
            fields = message.header.fields
            yield fields.get(HeaderFields.sender), fields.get(HeaderFields.member), message.body

    def _hear(self, rule: str) -> None:
        """Have the bus pass these signals on to us."""
        self._ask(BUS, "AddMatch", "s", (f"type='signal',{rule}",))

    def _ask(
        self,
        whom: tuple[str, str],
        method: str,
        signature: str | None = None,
        words: tuple[object, ...] = (),
        to: str = "",
    ) -> Message:
        from jeepney import DBusAddress, MessageType, new_method_call

        path, name = whom
        call = new_method_call(DBusAddress(path, to or name, name), method, signature, words)
        answer = self._bus.send_and_get_reply(call, timeout=self._deadline)
        if answer.header.message_type is MessageType.error:
            raise NotDelivered(f"{answer.header.fields[4]}: {answer.body[0] if answer.body else ''}")  # 4: ERROR_NAME
        return answer


def _by_notify_send(text: Text) -> NoReturn:
    """On Linux where D-Bus does not do it: becomes notify-send, so there is no child that could be left behind."""
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
    _end_after(deadline + MARGIN)
    _at_the_agents_end(signal.SIGKILL)
    if os.getppid() != agent:  # it died before it could be followed
        sys.exit("the agent is gone")


def _end_after(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _at_the_agents_end(number: int) -> None:
    """Have the kernel send us this signal then; 0 for none."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


if __name__ == "__main__":
    main()
