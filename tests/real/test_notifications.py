"""Real notifications: a D-Bus session, a service that shows them, and what it was given."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.bus import Bus
from sentinel.core.actions import Outcome, Result
from sentinel.core.events import BreakerOpened, CleanedUp, Notified
from sentinel.core.facts import ProcessId
from sentinel.core.notices import Manner
from sentinel.core.sessions import Kind, Session
from sentinel.handlers.tell import Tell
from sentinel.notify import Delivery, Message, Notifier, texts
from sentinel.notify.desktop import Desktop as Way
from tests.lab.absent import without
from tests.lab.desktop import need, raised
from tests.lab.stage import PATIENCE, until
from tests.real.conftest import settled, write

pytestmark = pytest.mark.real

SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"
WAYS = ("D-Bus", "notify-send", "dbus-python")
OTHER_SERVICES = ("xfce4/notifyd/xfce4-notifyd", "notification-daemon/notification-daemon")
STORM = 60.0 if os.environ.get("SENTINEL_SOAK") == "full" else 4.0
"""Seconds."""

HUNG_SERVER = """
import dbus, time
bus = dbus.SessionBus()
bus.request_name("org.freedesktop.Notifications")
print("owned", flush=True)
time.sleep(600)
"""


def need_dbus_python(python: str, environ: dict[str, str] | None = None) -> None:
    if subprocess.run([python, "-c", "import dbus"], env=environ, capture_output=True, check=False).returncode:
        pytest.skip("missing: python3-dbus")


def notifier(environ: dict[str, str], deadline: float = 30) -> Notifier:
    return Notifier([Way(deadline=deadline, environ=environ)])


def send(environ: dict[str, str], title: str, body: str, deadline: float = 30) -> Delivery:
    return asyncio.run(notifier(environ, deadline).send(Message(title, body)))


def shown(delivery: Delivery, way: str) -> bool:
    return delivery.shown and delivery.by == f"desktop ({way})"


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """By what the desktop is reached."""
    return str(request.param)


@pytest.fixture
def only(tmp_path: Path):
    """What to put into an environment so that one way is left of three."""

    def only(way: str) -> dict[str, str]:
        if way == "D-Bus":
            return {}
        hidden = without("jeepney", tmp_path / "hidden")["PYTHONPATH"]
        if way == "notify-send":
            return {"PYTHONPATH": hidden}
        found = {"PATH": str(tmp_path), "PYTHONPATH": f"{hidden}:{SYSTEM_PACKAGES}"}
        need_dbus_python(sys.executable, found)
        return found

    return only


def relatives(environ: dict[str, str]) -> set[int]:
    """Every process that has this test's home in its environment: also those whose parent is gone."""
    mark = f"HOME={environ['HOME']}\0".encode()
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and mark in (entry / "environ").read_bytes():
                found.add(int(entry.name))
        except OSError:
            continue
    return found


# What plyer itself loses, obeys or passes on as markup; and names that want to do harm.
# Given title and body, shown title and body.
TEXTS = {
    "a title that is an option": ("-x", "hello", "Sentinel: -x", "hello"),
    "a body that is an option": ("Sentinel", "--help", "Sentinel", " --help"),
    "a title that gives a hint": ("--hint=int:x:1", "hello", "Sentinel: --hint=int:x:1", "hello"),
    "a title that ends the options": ("--", "--", "Sentinel: --", " --"),
    "no title": ("", "hello", "Sentinel", "hello"),
    "no body": ("Sentinel: nothing to add", "", "Sentinel: nothing to add", ""),
    "markup in the title": ("Sentinel: <b>x</b>", "hello", "Sentinel: \u2039b\u203ax\u2039/b\u203a", "hello"),
    "markup": (
        "Sentinel",
        '<img src="http://example.org/x.png"> &lt;b&gt; &#x202e;',
        "Sentinel",
        '\u2039img src="http://example.org/x.png"\u203a +lt;b+gt; +#x202e;',
    ),
    "two lines": ("Sentinel", "claude was killed.\n2 ended.", "Sentinel", "claude was killed.\n2 ended."),
    "terminal escapes": ("Sentinel", "a\x1b[31mb\x9bc\x07", "Sentinel", r"a\x1b[31mb\x9bc\x07"),
    "a name that runs backwards": ("Sentinel", "exe\u202etxt.sh", "Sentinel", r"exe\u202etxt.sh"),
    "backslashes that notify-send expands": ("Sentinel", r"\033[31m \377 \n \\", "Sentinel", r"\033[31m \377 \n \\"),
    "quotes": ("Sentinel: 'a' \"b\"", "'}, 'x': $(id)`id`\"", "Sentinel: 'a' \"b\"", "'}, 'x': $(id)`id`\""),
    "other alphabets": (
        "Sentinel: \u732b",
        "\u0433\u043e \U0001f600 \u2026",
        "Sentinel: \u732b",
        "\u0433\u043e \U0001f600 \u2026",
    ),
    "bytes that were no text": ("Sentinel", "a\udcffb", "Sentinel", r"a\xffb"),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_text_arrives_and_does_nothing(desktop, only, way, text):
    title, body, seen_title, seen_body = text
    before = desktop.popups()
    assert shown(send(desktop.environ | only(way), title, body), way)
    assert desktop.popups() == [("Sentinel", seen_title, seen_body), *before]


@given(body=st.text(alphabet=st.one_of(st.characters(), st.sampled_from("-<>&\\\"'$\n\x1b\u202e")), max_size=500))
@settings(max_examples=60, deadline=None)
def test_what_arrives_is_what_was_made_of_the_text(desktop, body):
    assert shown(send(desktop.environ, "Sentinel", body), "D-Bus")
    assert desktop.popups()[0][2] == texts.body(body)


def test_the_locale_of_a_service_is_no_obstacle(desktop, only, way):
    environ = {key: desktop.environ[key] for key in ("PATH", "DBUS_SESSION_BUS_ADDRESS")} | only(way)
    assert shown(send(environ | {"LANG": "C"}, "Sentinel", "\u2026\xe9"), way)
    assert desktop.popups()[0][2] == "\u2026\xe9"


def test_what_says_more_takes_the_place_of_what_said_less(desktop):
    before = len(desktop.history())

    async def two() -> list[Delivery]:
        asked = notifier(desktop.environ)
        first = await asked.send(Message("Sentinel", "1 ended"))
        return [first, await asked.send(Message("Sentinel", "2 ended", replaces=True))]

    first, second = asyncio.run(two())
    assert first.mark == second.mark > 0
    popups = desktop.popups()
    assert len(popups) == before + 1
    assert popups[0][2] == "2 ended"


@pytest.mark.parametrize("way", ["D-Bus", "notify-send"])
def test_what_is_urgent_is_so_to_the_desktop(desktop, only, way):
    environ = desktop.environ | only(way)
    asyncio.run(notifier(environ).send(Message("Sentinel", "stopped", urgent=True)))
    assert desktop.history()[0]["message"]["data"].startswith("URGENT")  # so the lab's dunst marks it
    asyncio.run(notifier(environ).send(Message("Sentinel", "cleaned")))
    assert not desktop.history()[0]["message"]["data"].startswith("URGENT")


@pytest.mark.parametrize("service", OTHER_SERVICES)
def test_other_services_show_it_too(tmp_path, service):
    """Nobody can ask these what they show: the picture is looked at."""
    need("Xvfb", "xwd", "convert", "dbus-run-session")
    [program] = list(Path("/usr/lib").glob(f"{'*/' if service.startswith('xfce') else ''}{service}")) or [""]
    if not program:
        pytest.skip(f"missing: {service.rpartition('/')[2]}")
    with raised(tmp_path, str(program)) as environ:
        empty = colours(environ)
        delivery = send(environ, "Sentinel", "hello")
        assert shown(delivery, "D-Bus")
        assert delivery.mark > 0
        deadline = time.monotonic() + PATIENCE
        while colours(environ) == empty:
            assert time.monotonic() < deadline, "nothing came onto the screen"


def colours(environ: dict[str, str]) -> int:
    """How many there are on the screen. Without a popup it has one."""

    def shot() -> bytes:
        """Empty when a window closed meanwhile: xwd asks each of them, and fails at one that is gone."""
        asked = subprocess.run(["xwd", "-root", "-silent"], env=environ, capture_output=True, check=False, timeout=30)
        return b"" if asked.returncode else asked.stdout

    picture = until(shot, "a picture of the screen")
    command = ["convert", "xwd:-", "-format", "%k", "info:"]
    return int(subprocess.run(command, input=picture, env=environ, capture_output=True, check=True, timeout=30).stdout)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_of_ten_thousand_clean_ups_four_popups_are_shown_at_most_and_all_are_recorded(desktop):
    """A few seconds here, a minute by ``make soak``; a minute on a clock of its own in tests/core/test_notices.py."""
    recorded: list[object] = []
    number = 10_000

    async def storm() -> None:
        def record(event: object, _: int) -> int:
            recorded.append(event)
            return len(recorded)

        bus = Bus(record)
        tell = Tell(bus, notifier(desktop.environ), Manner)
        for count in range(1, number + 1):
            session = Session(Kind.AGENT, "claude", ProcessId(count, 7), directory="/srv/shop")
            bus.publish(CleanedUp(session, (Outcome(f"{count}@1", Result.ENDED),), 0.1))
            if count % 100 == 0:
                await asyncio.sleep(STORM * 100 / number)
        bus.publish(BreakerOpened("6 causes within 30 s"))
        await tell.close()

    before = len(desktop.history())
    asyncio.run(storm())
    assert sum(isinstance(event, CleanedUp) for event in recorded) == number
    told = [event for event in recorded if isinstance(event, Notified)]
    assert 2 <= sum(event.shown for event in told) <= 4
    assert len(desktop.history()) - before == 2  # one that was replaced again and again, and the urgent one
    ended = [
        (int(found[1]), event.shown) for event in told if (found := re.search(r"(\d+) processes ended", event.text))
    ]
    replaced, rest = max(n for n, was in ended if was), sum(n for n, was in ended if not was)
    assert replaced + rest == number


def test_a_bus_without_a_notification_server_is_no_success(bus, only, way):
    expected = "no notification service runs (nobody owns org.freedesktop.Notifications)"
    assert send(bus | only(way), "Sentinel", "hello") == Delivery(shown=False, why=expected)


def test_a_bus_that_died_is_no_success(bus, only, way, tmp_path):
    gone = tmp_path / "gone"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(gone))  # and nobody listens
        delivery = send(bus | only(way) | {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={gone}"}, "Sentinel", "hello")
    assert not delivery.shown
    assert "refused" in delivery.why


@pytest.fixture
def hung(bus: dict[str, str]) -> Iterator[int]:
    """The pid of a notification server that owns its name and never answers."""
    need_dbus_python("/usr/bin/python3")
    environ = bus | {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={bus['XDG_RUNTIME_DIR']}/bus"}
    command = ["/usr/bin/python3", "-c", HUNG_SERVER]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"owned\n"
        yield server.pid
        server.kill()


def test_a_server_that_never_answers_costs_the_deadline_and_leaves_nothing(bus, hung, only, way):
    environ = bus | only(way)
    started = time.monotonic()
    expected = Delivery(shown=False, why="no answer from the desktop within 1 s")
    assert send(environ, "Sentinel", "hello", deadline=1.0) == expected
    assert time.monotonic() - started < 15  # plyer alone: 25 s, or over 60 s
    until(lambda: relatives(bus) == {hung}, "the end of all that was started")


def test_a_hung_server_does_not_hold_the_agent_up(bus, hung):
    async def beats() -> int:
        send = asyncio.create_task(notifier(bus, deadline=1.0).send(Message("Sentinel", "hello")))
        count = 0
        while not send.done():
            await asyncio.sleep(0.01)
            count += 1
        return count

    assert asyncio.run(beats()) > 10  # a loop that was blocked would have counted to 1


# -- the whole of it -------------------------------------------------------------------

SERVER = """
import socket, time
ballast = bytearray(40_000_000)
with socket.create_server(("127.0.0.1", 0)) as server:
    open("port.new", "w").write(str(server.getsockname()[1]))
    __import__("os").rename("port.new", "port")
    time.sleep(600)
"""


@pytest.mark.parametrize("source", ["connector"], indirect=True)  # who hears of deaths is all the same here
def test_a_person_at_a_desktop_is_told_what_died_and_what_is_free_again(stage, sitting):
    server = stage.file("server.py", SERVER)
    stage.agent("-q")
    stage.start_run("api", f"/usr/bin/python3 {server} & {write('child')}; sleep 600")
    port = stage.pid("port")
    root = stage.watched("api")["pid"]
    settled(stage, "child")
    until(lambda: stage.watched("api")["processes"] == 3, "the agent knowing the shell's last child")
    stage.kill(root)
    told = stage.record("cleanup.done", "api")
    notified = until(lambda: stage.journal("notification.sent"), "the notification")[0]["data"]
    assert notified["shown"], notified
    assert notified["by"].startswith("desktop (")
    said, _, more = notified["text"].partition(r"\x0a")
    assert said.startswith('"api" in ~ was killed by SIGKILL: ')
    assert f"port {port} free" in said
    freed = re.search(r"about (\d+) MB freed", said)
    assert freed
    assert 40 <= int(freed[1]) < 200
    assert len(told["data"]["outcomes"]) >= 2
    stage.run("dunstctl", "close-all")
    [popup] = json.loads(stage.run("dunstctl", "history").stdout)["data"][0]
    assert popup["summary"]["data"] == "Sentinel cleaned up"
    assert popup["body"]["data"] == f"{said}\n{more}"


@pytest.mark.parametrize("source", ["connector"], indirect=True)
def test_a_person_without_a_desktop_is_told_in_tmux(stage, terminal):
    need("tmux")
    here = terminal("tmux", "-f", "/dev/null", "new-session", "sh")
    until(lambda: "$" in here.screen(), "a prompt")
    stage.agent("-q")
    stage.start_run("api", f"sleep 600 & {write('child')}; sleep 600")
    settled(stage, "child")
    stage.kill(stage.watched("api")["pid"])
    notified = until(lambda: stage.journal("notification.sent"), "the notification")[0]["data"]
    assert (notified["shown"], notified["by"]) == (True, "tmux"), notified
    here.shows('Sentinel: "api" died: ')
